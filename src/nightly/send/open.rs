//! Opens the way to an archive.

use super::archive::Archive;
use super::credentials::{self, Credentials};
use super::settings::DestinationSettings;

/// An archive's settings cannot be followed.
#[derive(Debug, thiserror::Error)]
#[error("`score.deliver.{name}`: {cause}")]
pub struct Error {
    /// Name of the archive.
    name: String,
    cause: Source,
}

#[derive(Debug, thiserror::Error)]
enum Source {
    #[error(transparent)]
    Credentials(#[from] credentials::Error),
    #[cfg(not(feature = "deliver"))]
    #[error("this program is built without network code")]
    NotBuilt,
    /// The authorities cannot be read.
    #[cfg(feature = "deliver")]
    #[error(transparent)]
    Certificates(#[from] super::stow_rs::CertificateError),
}

/// Reads the files that an archive's settings name. No connection is made before the first object.
///
/// # Errors
///
/// Fails if a file of credentials or certificates cannot be used.
pub(super) fn open(name: &str, settings: &DestinationSettings) -> Result<Box<dyn Archive>, Error> {
    let fault = |cause| Error { name: name.to_owned(), cause };
    let credentials = Credentials::read(settings).map_err(|error| fault(error.into()))?;
    connection(settings, &credentials).map_err(fault)
}

#[cfg(feature = "deliver")]
fn connection(
    settings: &DestinationSettings,
    credentials: &Credentials,
) -> Result<Box<dyn Archive>, Source> {
    Ok(match (&settings.address, &settings.url) {
        (None, Some(url)) => Box::new(super::stow_rs::StowRs::new(url, settings, credentials)?),
        (address, _) => {
            let address = address.clone().unwrap_or_default();
            Box::new(super::c_store::CStore::new(address, settings, credentials.clone()))
        }
    })
}

/// Without the sender, settings with archives are refused before.
#[cfg(not(feature = "deliver"))]
fn connection(_: &DestinationSettings, _: &Credentials) -> Result<Box<dyn Archive>, Source> {
    Err(Source::NotBuilt)
}
