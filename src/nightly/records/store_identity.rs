//! Who the results of a store name: one identity for all of them.

use super::ledger::Ledger;
use crate::nightly::identity::Identity;
use nodulus_store::Store;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Where the store keeps who its results name.
const FILE: &str = "identity.json";

/// Who the results of a store name.
#[derive(Debug, Serialize, Deserialize)]
struct StoreIdentity {
    /// In words.
    names: String,
    /// As [`Identity::fingerprint`]: the key does not follow from it.
    fingerprint: String,
}

/// The store cannot take results that name others than its own.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Its results name others.
    #[error(
        "the results of `score.store` name {was}, and the settings ask for {now}: results of both would stand side by side as \
         current ones; name another `score.store` (and `score.output`, if it is set) for the new names, or set \
         `[score.deidentify]` as it was"
    )]
    Other {
        /// Whom its results name.
        was: String,
        /// Whom the settings name.
        now: String,
    },
    /// The store could not be used.
    #[error(transparent)]
    Store(#[from] nodulus_store::Error),
}

/// Refuses a store whose results name others than `identity` does, and keeps the identity in a store without results.
///
/// METHOD: a record is found by its series as results name it. With other names, the same series would have a second record,
/// and the results of the first would stay current beside its own.
///
/// # Errors
///
/// Fails if its results name others, or the store cannot be used.
pub(crate) fn check(store: &Store, identity: &Identity) -> Result<(), Error> {
    let now = StoreIdentity {
        names: identity.in_words().to_owned(),
        fingerprint: identity.fingerprint(),
    };
    let kept: Option<StoreIdentity> = store.read_record(Path::new(FILE))?;
    let was = match kept {
        Some(kept) if kept.fingerprint == now.fingerprint => return Ok(()),
        Some(kept) => {
            (Ledger::open(store.root(), None)?.states().next().is_some()).then_some(kept.names)
        }
        // A store of an earlier program.
        None => {
            let is_other =
                Ledger::open(store.root(), None)?.has_other_identity(&now.fingerprint)?;
            is_other.then(|| "others".to_owned())
        }
    };
    match was {
        None => Ok(store.write_record(Path::new(FILE), &now)?),
        Some(was) if was == now.names => {
            Err(Error::Other { was, now: format!("{} of another key", now.names) })
        }
        Some(was) => Err(Error::Other { was, now: now.names }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nightly::identity::{DeidentifySettings, UidPolicy};

    #[test]
    fn a_store_with_records_keeps_its_names() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::create(&folder.path().join("store")).unwrap();
        let key = folder.path().join("key");
        let with = |text: &str, uids| {
            fs_err::write(&key, text).unwrap();
            Identity::new(Some(&DeidentifySettings { key: key.clone(), uids })).unwrap()
        };
        let first = with("0123456789abcdef", UidPolicy::Replace);
        let other_key = with("0123456789abcdeg", UidPolicy::Replace);
        let kept = with("0123456789abcdef", UidPolicy::Keep);
        // A store without records takes any names.
        check(&store, &Identity::AsIs).unwrap();
        check(&store, &first).unwrap();
        let mut ledger = Ledger::open(store.root(), None).unwrap();
        let mut record = ledger.read("1.2").unwrap();
        record.waiting_since = Some("2026-01-01T00:00:00Z".to_owned());
        ledger.write(&record).unwrap();
        check(&store, &first).unwrap();
        for (identity, expected) in [
            (
                Identity::AsIs,
                "name pseudonyms with replaced UIDs, and the settings ask for the patients as they are",
            ),
            (other_key, "ask for pseudonyms with replaced UIDs of another key"),
            (kept, "ask for pseudonyms with their own UIDs"),
        ] {
            let error = check(&store, &identity).unwrap_err().to_string();
            assert!(
                error.contains(expected) && error.contains("name another `score.store`"),
                "{error}"
            );
        }
        check(&store, &first).unwrap();
    }
}
