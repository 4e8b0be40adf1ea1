use bytes::{Buf, BufMut, Bytes};
use codeccloud_actors::ids::{CommandId, CustomerId, TenantId};
use codeccloud_actors::ports::StoredAnswer;
use hmac::{Hmac, Mac};
use sha2::Sha256;
use uuid::Uuid;

const FORMAT: u8 = 1;
const TAG_BYTES: usize = 32;
/// Format, command, hash, transaction, status, whether it is sealed.
const FIXED_BYTES: usize = 1 + 16 + 32 + 8 + 2 + 1;

/// Signs copies of answers: whoever can write to Redis must not be able to make one up, or to move one to another key.
#[derive(Clone)]
pub struct CopyKey(Hmac<Sha256>);

impl CopyKey {
    pub fn new(key: Hmac<Sha256>) -> CopyKey {
        CopyKey(key)
    }

    pub(super) fn copy(&self, tenant_id: TenantId, key: &str, answer: &StoredAnswer) -> Vec<u8> {
        let mut copy = vec![0; TAG_BYTES];
        copy.put_u8(FORMAT);
        copy.put_slice(answer.command_id.0.as_bytes());
        copy.put_slice(&answer.request_hash);
        copy.put_u64(answer.transaction_id);
        copy.put_u16(answer.status);
        copy.put_u8(answer.sealed_for.is_some().into());
        if let Some(customer_id) = answer.sealed_for {
            copy.put_slice(customer_id.0.as_bytes());
        }
        copy.put_slice(&answer.answer);
        let tag = self.signing(tenant_id, key, &copy[TAG_BYTES..]).finalize().into_bytes();
        copy[..TAG_BYTES].copy_from_slice(&tag);
        copy
    }

    /// `None` for what no server with this key has written under that key.
    pub(super) fn read(&self, tenant_id: TenantId, key: &str, copy: Vec<u8>) -> Option<StoredAnswer> {
        let (tag, signed) = copy.split_at_checked(TAG_BYTES)?;
        self.signing(tenant_id, key, signed).verify_slice(tag).ok()?;
        let mut rest = Bytes::from(copy).split_off(TAG_BYTES);
        if rest.len() < FIXED_BYTES || rest.get_u8() != FORMAT {
            return None;
        }
        let command_id = CommandId(Uuid::from_u128(rest.get_u128()));
        let mut request_hash = [0; 32];
        rest.copy_to_slice(&mut request_hash);
        let (transaction_id, status) = (rest.get_u64(), rest.get_u16());
        let sealed_for = match rest.get_u8() {
            0 => None,
            _ => Some(CustomerId(Uuid::from_u128(rest.try_get_u128().ok()?))),
        };
        Some(StoredAnswer { command_id, request_hash, status, answer: rest, sealed_for, transaction_id })
    }

    fn signing(&self, tenant_id: TenantId, key: &str, signed: &[u8]) -> Hmac<Sha256> {
        let length = (key.len() as u64).to_be_bytes();
        self.0.clone().chain_update(tenant_id.0).chain_update(length).chain_update(key).chain_update(signed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn copy_key(byte: u8) -> CopyKey {
        CopyKey(<Hmac<Sha256> as hmac::KeyInit>::new_from_slice(&[byte; 32]).expect("any length"))
    }

    fn answer(sealed_for: Option<CustomerId>) -> StoredAnswer {
        StoredAnswer {
            command_id: CommandId(Uuid::from_u128(7)),
            request_hash: [9; 32],
            status: 201,
            answer: Bytes::from_static(b"sealed bytes"),
            sealed_for,
            transaction_id: u64::MAX,
        }
    }

    #[test]
    fn a_copy_is_read_as_it_was_written_and_as_nothing_else() {
        let (ours, tenant) = (copy_key(1), TenantId(Uuid::from_u128(1)));
        for sealed_for in [None, Some(CustomerId(Uuid::from_u128(3)))] {
            let answer = answer(sealed_for);
            let copy = ours.copy(tenant, "key", &answer);
            assert_eq!(ours.read(tenant, "key", copy.clone()), Some(answer));
            assert_eq!(ours.read(TenantId(Uuid::from_u128(2)), "key", copy.clone()), None, "another tenant's");
            assert_eq!(ours.read(tenant, "kez", copy.clone()), None, "another key's");
            assert_eq!(copy_key(2).read(tenant, "key", copy.clone()), None, "signed by somebody else");
            for length in 0..copy.len() {
                assert_eq!(ours.read(tenant, "key", copy[..length].to_vec()), None, "cut at {length}");
            }
            for at in 0..copy.len() {
                let mut changed = copy.clone();
                changed[at] ^= 1;
                assert_eq!(ours.read(tenant, "key", changed), None, "changed at {at}");
            }
        }
    }
}
