//! Who is at the other end of a connection.

use std::fmt::Write;
use std::net::SocketAddr;
use std::sync::Arc;

use rustls_pki_types::CertificateDer;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;
use x509_parser::x509::X509Name;

use crate::serving::Flow;

/// Who is at the other end of a connection; an extension of every request.
#[derive(Clone, Debug)]
pub(super) struct Peer {
    /// Where the connection comes from.
    pub(super) address: SocketAddr,
    /// What the peer has proved by mutual TLS.
    pub(super) certificate: Option<Arc<ClientCertificate>>,
    /// On whose account its calls wait, but for streams, which have accounts of their own.
    pub(super) flow: Flow,
}

/// The names in a client certificate that an authority of ours has signed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct ClientCertificate {
    /// The subject, in the certificate's own order: `CN=robot, O=Example`. A sign that could be
    /// mistaken for structure has a `\` before it.
    pub(super) subject: String,
    /// The alternative names: `dns:robot.example`, `uri:spiffe://example/robot`, `email:…`.
    pub(super) names: Vec<String>,
}

impl ClientCertificate {
    /// Reads the names out of a certificate that has been verified; nothing where it is malformed.
    pub(super) fn read(der: &CertificateDer) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        let alternatives = certificate.subject_alternative_name().ok().flatten();
        let names = alternatives
            .map(|names| names.value.general_names.iter().filter_map(alternative).collect());
        Some(Self { subject: text(certificate.subject()), names: names.unwrap_or_default() })
    }

    /// What to call it in a log: the subject, or the first alternative name.
    pub(super) fn name(&self) -> &str {
        match self.names.first() {
            Some(name) if self.subject.is_empty() => name,
            _ => &self.subject,
        }
    }
}

fn alternative(name: &GeneralName) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some(format!("dns:{name}")),
        GeneralName::URI(name) => Some(format!("uri:{name}")),
        GeneralName::RFC822Name(name) => Some(format!("email:{name}")),
        GeneralName::OtherName(..)
        | GeneralName::X400Address(_)
        | GeneralName::DirectoryName(_)
        | GeneralName::EDIPartyName(_)
        | GeneralName::IPAddress(_)
        | GeneralName::RegisteredID(_)
        | GeneralName::Invalid(..) => None,
    }
}

/// A distinguished name as text, one text for one name: who may choose a common name cannot choose
/// an organisation with it.
fn text(name: &X509Name) -> String {
    let mut text = String::new();
    for attribute in name.iter_attributes() {
        if !text.is_empty() {
            text.push_str(", ");
        }
        let kind = attribute.attr_type();
        let short = x509_parser::objects::oid2abbrev(kind, x509_parser::objects::oid_registry());
        match short {
            Ok(short) => text.push_str(short),
            Err(_) => text.push_str(&kind.to_id_string()),
        }
        text.push('=');
        match attribute.as_str() {
            Ok(value) => escape(value, &mut text),
            Err(_) => attribute.as_slice().iter().for_each(|byte| {
                write!(text, "\\{byte:02x}").expect("a string takes all that is written");
            }),
        }
    }
    text
}

fn escape(value: &str, text: &mut String) {
    for sign in value.chars() {
        if sign.is_control() {
            write!(text, "\\u{{{:x}}}", u32::from(sign)).expect("a string takes all");
            continue;
        }
        if matches!(sign, ',' | '=' | '+' | '\\' | '"' | '<' | '>' | ';' | '#') {
            text.push('\\');
        }
        text.push(sign);
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, SanType};

    use super::*;

    fn certificate(common_name: &str, organisation: Option<&str>) -> ClientCertificate {
        let mut params = CertificateParams::new(vec!["robot.example".to_owned()]).unwrap();
        let spiffe = "spiffe://example/robot".try_into().unwrap();
        params.subject_alt_names.push(SanType::URI(spiffe));
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, common_name);
        if let Some(organisation) = organisation {
            params.distinguished_name.push(DnType::OrganizationName, organisation);
        }
        let key = KeyPair::generate().unwrap();
        ClientCertificate::read(params.self_signed(&key).unwrap().der()).unwrap()
    }

    #[test]
    fn a_certificate_tells_its_subject_and_alternative_names() {
        let robot = certificate("robot", Some("Example"));
        assert_eq!(robot.subject, "CN=robot, O=Example");
        assert_eq!(robot.names, ["dns:robot.example", "uri:spiffe://example/robot"]);
        assert_eq!(robot.name(), "CN=robot, O=Example");
    }

    #[test]
    fn no_common_name_can_pass_for_another_subject() {
        let liar = certificate("robot, O=Example", None);
        assert_eq!(liar.subject, "CN=robot\\, O\\=Example");
        assert_eq!(certificate("a\nb", None).subject, "CN=a\\u{a}b");
    }

    #[test]
    fn what_is_no_certificate_has_no_names() {
        assert_eq!(ClientCertificate::read(&CertificateDer::from(vec![1, 2, 3])), None);
    }
}
