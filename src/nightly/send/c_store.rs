//! C-STORE: objects over an association (PS3.7, 9.1.1; PS3.8).
#![expect(clippy::disallowed_types, reason = "the feature `deliver` is for the network")]

use super::archive::{Acknowledgement, Archive, SendError};
use super::credentials::Credentials;
use super::object::StoredObject;
use super::settings::DestinationSettings;
use super::store_answer;
use dicom_core::{DataElement, PrimitiveValue, VR, dicom_value};
use dicom_dictionary_std::tags;
use dicom_object::{InMemDicomObject, OpenFileOptions};
use dicom_transfer_syntax_registry::entries::IMPLICIT_VR_LITTLE_ENDIAN;
use dicom_ul::association::Error as AssociationError;
use dicom_ul::association::client::{ClientAssociation, ClientAssociationOptions};
use dicom_ul::pdu::{
    AssociationRJ, AssociationRJResult, AssociationRJSource, PDataValue, PDataValueType, Pdu,
    ReadError,
};
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::io::Write as _;
use std::net::TcpStream;
use std::time::Duration;

/// Every archive takes objects in this transfer syntax (PS3.5, 10.1).
const IMPLICIT: &str = "1.2.840.10008.1.2";
const EXPLICIT: &str = "1.2.840.10008.1.2.1";

/// `CommandField` of a request and of its answer (PS3.7, E.1).
const C_STORE_RQ: u16 = 0x0001;
const C_STORE_RSP: u16 = 0x8001;

/// `CommandDataSetType` of a message with a data set: anything but 0101.
const WITH_DATA_SET: u16 = 0x0000;

/// Longest wait for the archive to release an association that is done.
const CLOSING: Duration = Duration::from_secs(5);

/// Most bytes of an answer.
const MAX_ANSWER: usize = 1 << 16;

/// An archive that takes C-STORE.
pub(super) struct CStore {
    address: String,
    called_ae: String,
    calling_ae: String,
    credentials: Credentials,
    timeout: Duration,
    /// Classes of objects so far, each with a transfer syntax: what an association is asked for.
    contexts: BTreeSet<(String, String)>,
    open: Option<Open>,
}

/// An association with what it was asked for.
struct Open {
    association: ClientAssociation<TcpStream>,
    contexts: BTreeSet<(String, String)>,
    message_id: u16,
}

impl CStore {
    pub(super) fn new(
        address: String,
        settings: &DestinationSettings,
        credentials: Credentials,
    ) -> Self {
        Self {
            address,
            called_ae: settings.called_ae.clone(),
            calling_ae: settings.calling_ae.clone(),
            credentials,
            timeout: Duration::from_secs(settings.timeout_seconds),
            contexts: BTreeSet::new(),
            open: None,
        }
    }

    fn connect(&self) -> Result<Open, SendError> {
        let mut options = ClientAssociationOptions::new()
            .calling_ae_title(self.calling_ae.as_str())
            .called_ae_title(self.called_ae.as_str())
            .connection_timeout(self.timeout)
            .read_timeout(self.timeout)
            .write_timeout(self.timeout);
        options = match &self.credentials {
            Credentials::Nobody => options,
            Credentials::User { name, password } => {
                options.username_password(name.as_str(), password.value())
            }
            Credentials::Bearer(token) => options.jwt(token.value()),
        };
        for (class, syntax) in &self.contexts {
            options = options.with_presentation_context(class.as_str(), vec![syntax.as_str()]);
        }
        let association = options.establish(&*self.address).map_err(|error| cause(&error))?;
        Ok(Open { association, contexts: self.contexts.clone(), message_id: 0 })
    }
}

impl Archive for CStore {
    fn send(&mut self, object: &StoredObject) -> Result<Acknowledgement, SendError> {
        let context = |syntax: &str| (object.sop_class_uid.clone(), syntax.to_owned());
        self.contexts.insert(context(&object.transfer_syntax));
        if object.transfer_syntax == EXPLICIT {
            self.contexts.insert(context(IMPLICIT));
        }
        // It is put back once the archive has answered: what an error leaves is closed.
        let mut open = match self.open.take() {
            Some(open) if open.contexts == self.contexts => open,
            other => {
                if let Some(open) = other {
                    let _ = open.association.release();
                }
                self.connect()?
            }
        };
        let result = open.store(object);
        if !matches!(result, Err(SendError::Unreachable(_))) {
            self.open = Some(open);
        }
        result
    }

    fn close(&mut self) {
        if let Some(mut open) = self.open.take() {
            let _ = open.association.inner_stream().set_read_timeout(Some(CLOSING));
            // What was sent is answered for.
            let _ = open.association.release();
        }
    }
}

impl Open {
    fn store(&mut self, object: &StoredObject) -> Result<Acknowledgement, SendError> {
        let of_class = |syntax: &str| {
            let mut accepted = self.association.presentation_contexts().iter();
            let context = accepted.find(|context| {
                context.abstract_syntax == object.sop_class_uid && context.transfer_syntax == syntax
            });
            context.map(|context| context.id)
        };
        let own = of_class(&object.transfer_syntax).map(|id| (id, None));
        let context = own.or_else(|| of_class(IMPLICIT).map(|id| (id, Some(IMPLICIT))));
        let Some((id, syntax)) = context else {
            return Err(SendError::Object(format!(
                "it takes no objects of class {} in transfer syntax {}",
                object.sop_class_uid, object.transfer_syntax
            )));
        };
        let data = match syntax {
            None => Cow::Borrowed(&object.bytes[object.data_start..]),
            Some(_) => Cow::Owned(in_implicit_vr(object)?),
        };
        self.message_id = self.message_id.wrapping_add(1);
        let command = bytes_of(&request(object, self.message_id))?;
        let value_type = PDataValueType::Command;
        let command =
            PDataValue { presentation_context_id: id, value_type, is_last: true, data: command };
        self.association
            .send(&Pdu::PData { data: vec![command] })
            .map_err(|error| cause(&error))?;
        let mut sender = self.association.send_pdata(id);
        if let Err(error) = sender.write_all(&data) {
            // Otherwise the part would be ended as if it were whole.
            sender.abandon();
            return Err(broken(&error));
        }
        sender.finish().map_err(|error| broken(&error))?;
        self.answer()
    }

    /// Waits for the answer to the last message.
    fn answer(&mut self) -> Result<Acknowledgement, SendError> {
        let mut command = Vec::new();
        loop {
            match self.association.receive().map_err(|error| cause(&error))? {
                Pdu::PData { data } => {
                    let mut is_whole = false;
                    for value in
                        data.into_iter().filter(|v| v.value_type == PDataValueType::Command)
                    {
                        command.extend(value.data);
                        is_whole |= value.is_last;
                    }
                    if command.len() > MAX_ANSWER {
                        return Err(unexpected());
                    }
                    if is_whole {
                        break;
                    }
                }
                Pdu::AbortRQ { .. } => {
                    return Err(SendError::Unreachable("it broke the association off".to_owned()));
                }
                _ => return Err(unexpected()),
            }
        }
        let syntax = IMPLICIT_VR_LITTLE_ENDIAN.erased();
        let answer = InMemDicomObject::read_dataset_with_ts(&command[..], &syntax);
        let answer = answer.map_err(|_| unexpected())?;
        let number = |tag| answer.element(tag).ok().and_then(|e| e.to_int::<u16>().ok());
        let is_ours = number(tags::COMMAND_FIELD) == Some(C_STORE_RSP)
            && number(tags::MESSAGE_ID_BEING_RESPONDED_TO) == Some(self.message_id);
        match number(tags::STATUS).filter(|_| is_ours) {
            Some(status) => store_answer::answer(status, &format!("{status:04X}")),
            None => Err(unexpected()),
        }
    }
}

/// PS3.7, 9.3.1.1.
fn request(object: &StoredObject, message_id: u16) -> InMemDicomObject {
    let number = |tag, value: u16| DataElement::new(tag, VR::US, dicom_value!(U16, [value]));
    let uid = |tag, uid: &str| DataElement::new(tag, VR::UI, PrimitiveValue::from(uid));
    InMemDicomObject::command_from_element_iter([
        uid(tags::AFFECTED_SOP_CLASS_UID, &object.sop_class_uid),
        number(tags::COMMAND_FIELD, C_STORE_RQ),
        number(tags::MESSAGE_ID, message_id),
        number(tags::PRIORITY, 0),
        number(tags::COMMAND_DATA_SET_TYPE, WITH_DATA_SET),
        uid(tags::AFFECTED_SOP_INSTANCE_UID, &object.sop_instance_uid),
    ])
}

fn bytes_of(object: &InMemDicomObject) -> Result<Vec<u8>, SendError> {
    let mut bytes = Vec::new();
    let written = object.write_dataset_with_ts(&mut bytes, &IMPLICIT_VR_LITTLE_ENDIAN.erased());
    let fault = |_| SendError::Object("the object cannot be written in implicit VR".to_owned());
    written.map_err(fault).map(|()| bytes)
}

/// The data set of an object in explicit VR little endian, in the transfer syntax that every archive takes.
fn in_implicit_vr(object: &StoredObject) -> Result<Vec<u8>, SendError> {
    let read = OpenFileOptions::new().from_reader(&object.bytes[..]);
    let fault = |_| SendError::Object("the object cannot be read again".to_owned());
    bytes_of(&read.map_err(fault)?.into_inner())
}

fn unexpected() -> SendError {
    SendError::Unreachable("its answer is none to C-STORE".to_owned())
}

fn broken(error: &std::io::Error) -> SendError {
    SendError::Unreachable(format!("the connection broke off ({})", error.kind()))
}

/// The cause in our words: messages of the crate may quote what the archive sent.
fn cause(error: &AssociationError) -> SendError {
    let unreachable = |text: &str| SendError::Unreachable(text.to_owned());
    match error {
        AssociationError::ToAddress { source, .. } => {
            SendError::Unreachable(format!("its host is not known ({})", source.kind()))
        }
        AssociationError::Connect { source, .. } => {
            SendError::Unreachable(format!("it does not answer ({})", source.kind()))
        }
        AssociationError::Rejected { association_rj: AssociationRJ { result, source }, .. } => {
            // PS3.8, 9.3.4.
            let reason = match source {
                AssociationRJSource::ServiceUser(reason) => reason.to_string(),
                AssociationRJSource::ServiceProviderASCE(reason) => reason.to_string(),
                AssociationRJSource::ServiceProviderPresentation(reason) => reason.to_string(),
            };
            let text = format!("it refuses the association ({reason})");
            match result {
                AssociationRJResult::Transient => SendError::Busy(text),
                AssociationRJResult::Permanent => SendError::Refused(text),
            }
        }
        AssociationError::NoAcceptedPresentationContexts { .. } => {
            SendError::Object("it takes no objects of this class".to_owned())
        }
        AssociationError::WireSend { source, .. }
        | AssociationError::WireRead { source, .. }
        | AssociationError::ReceivePdu { source: ReadError::ReadPdu { source, .. } } => {
            broken(source)
        }
        AssociationError::Timeout { .. } => unreachable("it does not answer in time"),
        AssociationError::Aborted { .. } => unreachable("it broke the association off"),
        AssociationError::ConnectionClosed { .. } => unreachable("it closed the connection"),
        _ => unreachable("it does not keep to the protocol"),
    }
}
