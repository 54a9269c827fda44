//! Settings of an archive that results are sent to.

use crate::nightly::deliver::OutputKind;
use nodulus_formats::dicom::Date;
use nodulus_settings::Fault;
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Settings: `[score.deliver.NAME]`.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DestinationSettings {
    /// Host and port of an archive that takes C-STORE; either this or `url`.
    #[serde(default)]
    #[schemars(length(min = 1), extend("examples" = ["pacs.example.org:104"]))]
    pub address: Option<String>,
    /// Address of an archive's `DICOMweb` service, to whose `/studies` objects are posted (STOW-RS); either this or `address`.
    #[serde(default)]
    #[schemars(length(min = 1), extend("examples" = ["https://archive.example.org/dicom-web"]))]
    pub url: Option<String>,
    /// AE title of the archive, for C-STORE.
    #[serde(default = "called_ae")]
    #[schemars(length(min = 1, max = 16))]
    pub called_ae: String,
    /// AE title of the nightly job, for C-STORE.
    #[serde(default = "calling_ae")]
    #[schemars(length(min = 1, max = 16))]
    pub calling_ae: String,
    /// PEM file with the certificates of the authorities that are trusted; an address with `https` needs it.
    #[serde(default)]
    #[schemars(length(min = 1), extend("examples" = ["/etc/ssl/certs/ca-certificates.crt"]))]
    pub certificates: Option<PathBuf>,
    /// Name of the user; `password_file` has the password.
    #[serde(default)]
    #[schemars(length(min = 1), extend("examples" = ["nodulus"]))]
    pub user: Option<String>,
    /// File that holds the user's password alone.
    #[serde(default)]
    #[schemars(length(min = 1), extend("examples" = ["secrets/password"]))]
    pub password_file: Option<PathBuf>,
    /// File that holds a bearer token alone, in place of `user` and `password_file`. It is read anew for each run.
    #[serde(default)]
    #[schemars(length(min = 1), extend("examples" = ["secrets/token"]))]
    pub token_file: Option<PathBuf>,
    /// Kinds of DICOM objects that are sent, among those of `score.outputs`; without it, all.
    #[serde(default)]
    #[schemars(extend("examples" = [["seg"]]))]
    pub outputs: Option<BTreeSet<OutputKind>>,
    /// First day, in UTC, whose results are sent; without it, results of every day are.
    #[serde(default)]
    #[schemars(length(min = 1), extend("examples" = ["2026-01-31"]))]
    pub since: Option<String>,
    /// Times that an object is tried in a run, where the archive does not answer or is busy.
    #[serde(default = "attempts")]
    #[schemars(range(min = 1, max = 20))]
    pub attempts: u32,
    /// Wait before the second try. It doubles before each further one, up to 300 s.
    #[serde(default = "retry_seconds")]
    #[schemars(range(min = 0, max = 300))]
    pub retry_seconds: f64,
    /// Longest wait for the archive at each step: to connect, to take data, to answer.
    #[serde(default = "timeout_seconds")]
    #[schemars(range(min = 1, max = 3600))]
    pub timeout_seconds: u64,
}

/// What other senders have by default; an archive that checks its title needs its own.
fn called_ae() -> String {
    "ANY-SCP".to_owned()
}

fn calling_ae() -> String {
    "NODULUS".to_owned()
}

const fn attempts() -> u32 {
    5
}

const fn retry_seconds() -> f64 {
    2.0
}

const fn timeout_seconds() -> u64 {
    60
}

/// What a program without the sender says to settings that ask for it.
const NOT_BUILT: &str = "`score.deliver` sends results over the network, and this program is built without network code; build one that has \
                         it with `cargo build --release --features deliver`, or leave the section out";

/// Whether the program can send.
const CAN_SEND: bool = cfg!(feature = "deliver");

impl DestinationSettings {
    /// Its paths, which are relative to the file of settings.
    pub(in crate::nightly) fn paths_mut(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        let Self { certificates, password_file, token_file, .. } = self;
        [certificates, password_file, token_file].into_iter().flatten()
    }

    /// Name of the protocol in `receipts`.
    pub(super) const fn protocol(&self) -> &'static str {
        if self.address.is_some() { "c_store" } else { "stow_rs" }
    }

    /// Whether it is sent an object of a result of a day, by the file below the folder of outputs.
    pub(super) fn takes(&self, file: &Path, scored_on: &str) -> bool {
        let is_kind = |kinds: &BTreeSet<OutputKind>| kinds.iter().any(|kind| kind.has_file(file));
        // Days as text have the order of time.
        let is_late = self.since.as_ref().is_none_or(|since| scored_on >= since.as_str());
        is_late && self.outputs.as_ref().is_none_or(is_kind)
    }

    /// What no single key shows, for an archive with a name; `outputs` are those of the job.
    pub(in crate::nightly) fn check(
        &self,
        name: &str,
        outputs: &BTreeSet<OutputKind>,
    ) -> Result<(), Fault> {
        let section = format!("score.deliver.{name}");
        if !CAN_SEND {
            return Err(Fault::new(section, NOT_BUILT));
        }
        check_name(name, &section)?;
        self.check_keys(&section, outputs)
    }

    fn check_keys(&self, section: &str, outputs: &BTreeSet<OutputKind>) -> Result<(), Fault> {
        self.check_address(section)?;
        self.check_credentials(section)?;
        if let Some(since) = &self.since
            && Date::from_iso(since).is_none()
        {
            let key = format!("{section}.since");
            let message =
                format!("`{key}` is `{since}`, expected a day, as in `since = \"2026-01-31\"`");
            return Err(Fault::new(key, message));
        }
        let own = self.outputs.as_ref().unwrap_or(outputs);
        if let Some(kind) = own.iter().find(|kind| self.outputs.is_some() && !kind.is_dicom()) {
            let key = format!("{section}.outputs");
            let name = serde_json::to_string(kind).unwrap_or_default();
            let message = format!(
                "`{key}` names {name}, expected kinds of DICOM objects alone, as in `outputs = [\"seg\"]`"
            );
            return Err(Fault::new(key, message));
        }
        if !own.iter().any(|kind| kind.is_dicom() && outputs.contains(kind)) {
            let message = format!(
                "`{section}` would be sent nothing: `score.outputs` names none of its DICOM objects, expected at least one, as in \
                 `outputs = [\"seg\"]`"
            );
            return Err(Fault::new(section, message).or("score.outputs"));
        }
        Ok(())
    }

    fn check_address(&self, section: &str) -> Result<(), Fault> {
        let fault =
            |key: &str, message: String| Err(Fault::new(format!("{section}.{key}"), message));
        match (&self.address, &self.url) {
            (Some(address), None) => {
                let port = address.rsplit_once(':').filter(|(host, _)| !host.is_empty());
                let is_free = !address.contains(|c: char| c.is_whitespace() || "/@".contains(c));
                if !is_free || port.is_none_or(|(_, port)| port.parse::<u16>().is_err()) {
                    return fault(
                        "address",
                        format!(
                            "`{section}.address` is `{address}`, expected a host and a port, as in `address = \"pacs.example.org:104\"`"
                        ),
                    );
                }
                for (key, title) in
                    [("called_ae", &self.called_ae), ("calling_ae", &self.calling_ae)]
                {
                    // PS3.5, 6.2, AE: printable characters of the default repertoire but the backslash, not spaces alone.
                    let is_printable = |c: char| (' '..='~').contains(&c) && c != '\\';
                    if title.trim().is_empty()
                        || title.len() > 16
                        || !title.chars().all(is_printable)
                    {
                        return fault(
                            key,
                            format!(
                                "`{section}.{key}` is `{title}`, expected an AE title of 1 to 16 printable characters without `\\`"
                            ),
                        );
                    }
                }
                if self.certificates.is_some() {
                    return fault(
                        "certificates",
                        format!(
                            "`{section}.certificates` is for addresses with `https`, and C-STORE is sent without TLS; leave it out"
                        ),
                    );
                }
                Ok(())
            }
            (None, Some(url)) => self.check_url(section, url),
            _ => {
                let message = format!(
                    "`{section}` expects one of `address`, for C-STORE, and `url`, for STOW-RS, as in `address = \"pacs.example.org:104\"`"
                );
                Err(Fault::new(section, message))
            }
        }
    }

    fn check_url(&self, section: &str, url: &str) -> Result<(), Fault> {
        let key = format!("{section}.url");
        let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
        let host = rest.and_then(|rest| rest.split('/').next()).unwrap_or_default();
        let is_plain = url.chars().all(|c| c.is_ascii_graphic() && !"?#\\".contains(c));
        if host.contains('@') {
            // The name or password is not repeated.
            let message = format!(
                "`{key}` holds a user or a password; `user` and `password_file`, or `token_file`, name them"
            );
            return Err(Fault::new(key, message));
        }
        if host.is_empty() || !is_plain {
            let message = format!(
                "`{key}` is `{url}`, expected the address of a DICOMweb service, as in `url = \"https://archive.example.org/dicom-web\"`"
            );
            return Err(Fault::new(key, message));
        }
        if url.starts_with("https://") && self.certificates.is_none() {
            let message = format!(
                "`{key}` has `https`, for which `{section}.certificates` names the authorities that are trusted, as in \
                 `certificates = \"/etc/ssl/certs/ca-certificates.crt\"`"
            );
            return Err(Fault::new(key, message));
        }
        Ok(())
    }

    fn check_credentials(&self, section: &str) -> Result<(), Fault> {
        let Self { user, password_file, token_file, .. } = self;
        if token_file.is_some() && (user.is_some() || password_file.is_some()) {
            let key = format!("{section}.token_file");
            let message = format!(
                "`{key}` stands in place of `user` and `password_file`; give one or the other"
            );
            return Err(Fault::new(key, message));
        }
        let missing = match (user, password_file) {
            (Some(_), None) => "password_file",
            (None, Some(_)) => "user",
            _ => "",
        };
        if !missing.is_empty() {
            let message = format!(
                "`{section}.{missing}` is missing: `user` and `password_file` belong together"
            );
            return Err(Fault::new(section, message));
        }
        if let Some(user) = user
            && (user.contains(|c: char| c.is_control()) || user.contains(':'))
        {
            let key = format!("{section}.user");
            // RFC 7617, 2: a colon ends the name.
            let message =
                format!("`{key}` holds a colon or a control character, expected a name without");
            return Err(Fault::new(key, message));
        }
        Ok(())
    }
}

/// The name stands in tables and logs, and labels figures.
fn check_name(name: &str, section: &str) -> Result<(), Fault> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if name.is_empty() || name.len() > 64 || !name.chars().all(is_plain) {
        let message = format!(
            "an archive's name in `score.deliver` is `{name}`, expected 1 to 64 letters, digits, `-` and `_`, as in \
             `[score.deliver.pacs]`"
        );
        return Err(Fault::new(section, message));
    }
    Ok(())
}

#[cfg(test)]
#[path = "settings_tests.rs"]
mod tests;
