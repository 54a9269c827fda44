//! STOW-RS: objects to a `DICOMweb` service (PS3.18, 10.5).

use super::archive::{Acknowledgement, Archive, SendError};
use super::credentials::Credentials;
use super::multipart::{self, RequestBody};
use super::object::StoredObject;
use super::settings::DestinationSettings;
use super::stow_answer;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use nodulus_faults::fs;
use nodulus_faults::quoted;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use ureq::Agent;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};

/// Most bytes of an answer that are read.
const MAX_ANSWER: u64 = 1 << 20;

/// A `DICOMweb` service.
pub(super) struct StowRs {
    agent: Agent,
    /// Where objects are posted.
    studies: String,
    /// Value of the header `Authorization`.
    authorization: Option<String>,
}

/// The authorities that are trusted cannot be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum CertificateError {
    #[error("{}", quoted::io(.0))]
    Io(#[from] io::Error),
    #[error("{file} holds no certificate, expected one or more in PEM", file = quoted::path(file))]
    None { file: PathBuf },
}

impl StowRs {
    pub(super) fn new(
        url: &str,
        settings: &DestinationSettings,
        credentials: &Credentials,
    ) -> Result<Self, CertificateError> {
        let timeout = Some(Duration::from_secs(settings.timeout_seconds));
        let roots = settings.certificates.as_deref().map(certificates).transpose()?;
        let tls = TlsConfig::builder()
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .root_certs(RootCerts::new_with_certs(&roots.unwrap_or_default()))
            .build();
        let config = Agent::config_builder()
            .tls_config(tls)
            // Objects go to the address of the settings and nowhere else.
            .proxy(None)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .http_status_as_error(false)
            .user_agent(concat!("nodulus/", env!("CARGO_PKG_VERSION")))
            .timeout_resolve(timeout)
            .timeout_connect(timeout)
            .timeout_send_request(timeout)
            .timeout_send_body(timeout)
            .timeout_recv_response(timeout)
            .timeout_recv_body(timeout)
            .build();
        let authorization = match credentials {
            Credentials::Nobody => None,
            Credentials::User { name, password } => {
                // RFC 7617, 2.
                Some(format!("Basic {}", STANDARD.encode(format!("{name}:{}", password.value()))))
            }
            Credentials::Bearer(token) => Some(format!("Bearer {}", token.value())),
        };
        let studies = format!("{}/studies", url.trim_end_matches('/'));
        Ok(Self { agent: config.new_agent(), studies, authorization })
    }
}

fn certificates(file: &Path) -> Result<Vec<Certificate<'static>>, CertificateError> {
    let pem = fs::read(file)?;
    let items = parse_pem(&pem).filter_map(Result::ok);
    let certificates: Vec<_> = items
        .filter_map(|item| match item {
            PemItem::Certificate(certificate) => Some(certificate),
            _ => None,
        })
        .collect();
    if certificates.is_empty() {
        return Err(CertificateError::None { file: file.to_owned() });
    }
    Ok(certificates)
}

impl Archive for StowRs {
    fn send(&mut self, object: &StoredObject) -> Result<Acknowledgement, SendError> {
        let RequestBody { content_type, bytes } = multipart::body(object);
        let mut request = self.agent.post(&self.studies);
        request = request.header("Content-Type", content_type);
        request = request.header("Accept", "application/dicom+json");
        if let Some(authorization) = &self.authorization {
            request = request.header("Authorization", authorization);
        }
        let mut response = request.send(&bytes[..]).map_err(|error| cause(&error))?;
        let code = response.status().as_u16();
        let body = response.body_mut().with_config().limit(MAX_ANSWER).read_to_vec();
        stow_answer::answer(code, &body.map_err(|error| cause(&error))?, &object.sop_instance_uid)
    }
}

fn cause(error: &ureq::Error) -> SendError {
    let tls = match error {
        ureq::Error::Rustls(error) => Some(error),
        ureq::Error::Io(error) => error.get_ref().and_then(|error| error.downcast_ref()),
        _ => None,
    };
    if let Some(rustls::Error::InvalidCertificate(_)) = tls {
        let text = "its certificate is not of an authority of `certificates`, or not for this host";
        return SendError::Refused(text.to_owned());
    }
    SendError::Unreachable(format!("it does not answer ({error})"))
}
