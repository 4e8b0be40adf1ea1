use std::fmt;

use aes_gcm::aead::Generate;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// The specification asks for 24 to 64.
const SECRET_BYTES: usize = 32;

/// What an endpoint's calls are signed with. It has no readable debug output.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningSecret(Vec<u8>);

impl SigningSecret {
    /// From the operating system's randomness, as all keys are.
    pub fn generate() -> SigningSecret {
        let secret: [u8; SECRET_BYTES] = Generate::generate();
        SigningSecret(secret.to_vec())
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// As receivers configure it.
    pub fn text(&self) -> String {
        format!("whsec_{}", BASE64.encode(&self.0))
    }

    fn sign(&self, id: &str, timestamp_seconds: i64, body: &str) -> String {
        let mac = <Hmac<Sha256> as KeyInit>::new_from_slice(&self.0).expect("HMAC takes keys of any length");
        let mac = mac.chain_update(format!("{id}.{timestamp_seconds}.")).chain_update(body);
        format!("v1,{}", BASE64.encode(mac.finalize().into_bytes()))
    }
}

impl From<Vec<u8>> for SigningSecret {
    fn from(bytes: Vec<u8>) -> SigningSecret {
        SigningSecret(bytes)
    }
}

impl fmt::Debug for SigningSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningSecret(***)")
    }
}

/// One signature by each secret: while one is replaced, a receiver may know either.
pub fn header(id: &str, timestamp_seconds: i64, body: &str, secrets: &[SigningSecret]) -> String {
    let signatures: Vec<String> = secrets.iter().map(|secret| secret.sign(id, timestamp_seconds, body)).collect();
    signatures.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification's reference libraries.
    #[test]
    fn signs_as_the_reference_does() {
        let secret = BASE64.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let body = r#"{"test": 2432232314}"#;
        let signed = header("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, body, &[secret.into()]);
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn each_secret_signs() {
        let secrets = [SigningSecret::generate(), SigningSecret::generate()];
        let signed = header("msg_1", 1, "{}", &secrets);
        let expected: Vec<String> = secrets.iter().map(|secret| secret.sign("msg_1", 1, "{}")).collect();
        assert_eq!(signed.split(' ').collect::<Vec<_>>(), expected);
        assert_ne!(expected[0], expected[1]);
        assert!(secrets[0].text().starts_with("whsec_"));
    }
}
