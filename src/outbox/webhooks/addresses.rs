//! Which addresses a tenant may have this server call: none that only this server can reach.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use url::{Host, Url};

/// Longer ones are no addresses of endpoints.
const URL_LENGTH_MAX: usize = 2_000;

/// An endpoint's address, of the form that it must have. Where its name leads to is looked up with each call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetUrl(Url);

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    #[error("must be an https:// URL")]
    Malformed,
    #[error("must not hold a user, a password or a fragment")]
    Superfluous,
    #[error("must not be an address of a private network")]
    Private,
}

impl TargetUrl {
    /// Where private addresses are allowed, so is http: it is for a network of one's own.
    pub fn parse(text: &str, allow_private: bool) -> Result<TargetUrl, UrlError> {
        let url = Url::parse(text).ok().filter(|_| text.len() <= URL_LENGTH_MAX).ok_or(UrlError::Malformed)?;
        if url.scheme() != "https" && !(allow_private && url.scheme() == "http") {
            return Err(UrlError::Malformed);
        }
        if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
            return Err(UrlError::Superfluous);
        }
        let literal = match url.host() {
            None => return Err(UrlError::Malformed),
            Some(Host::Domain(_)) => None,
            Some(Host::Ipv4(address)) => Some(IpAddr::from(address)),
            Some(Host::Ipv6(address)) => Some(IpAddr::from(address)),
        };
        if !allow_private && literal.is_some_and(|address| !is_public(address)) {
            return Err(UrlError::Private);
        }
        Ok(TargetUrl(url))
    }

    pub fn as_url(&self) -> &Url {
        &self.0
    }
}

/// Whether the address is one of the public Internet (the registries of RFC 6890). Networks of one's own, link-local ones
/// with a cloud's metadata service, loopback, multicast and reserved ones are not, in whatever form an IPv6 address may
/// hold them.
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let reserved = match (a, b) {
        (0 | 10 | 127 | 224..=255, _) => true,
        (100, 64..=127) => true, // carriers' own
        (169, 254) => true,      // link-local
        (172, 16..=31) | (192, 168) => true,
        (192, 0) => c == 0 || c == 2, // protocols, documentation
        (192, 88) => c == 99,         // relays of 6to4
        (198, 18 | 19) => true,       // benchmarks
        (198, 51) => c == 100,        // documentation
        (203, 0) => c == 113,
        _ => false,
    };
    !reserved
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    let embedded = || {
        let [.., a, b, c, d] = address.octets();
        Ipv4Addr::new(a, b, c, d)
    };
    match segments {
        [0, 0, 0, 0, 0, 0xffff, _, _] | [0x64, 0xff9b, 0, 0, 0, 0, _, _] => is_public_v4(embedded()),
        [0x2001, 0..=0x1ff, ..] => false, // protocols, Teredo among them
        [0x2001, 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => false, // documentation
        [0x2002, ..] => false,            // 6to4, which holds an IPv4 address
        // All else that is global unicast.
        [first, ..] => first & 0xe000 == 0x2000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_of_the_internet_are_public() {
        for private in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "224.0.0.1",
            "255.255.255.255",
            "192.0.0.8",
            "198.18.0.1",
            "198.51.100.7",
            "203.0.113.9",
            "::1",
            "::",
            "fe80::1",
            "fc00::1",
            "fd00:ec2::254",
            "ff02::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
            "2001::1",
            "2001:db8::1",
            "fec0::1",
            "::127.0.0.1",
            "64:ff9b:1::1",
        ] {
            assert!(!is_public(private.parse().unwrap()), "{private}");
        }
        for public in ["1.1.1.1", "172.32.0.1", "100.128.0.1", "192.0.1.1", "2606:4700::1111", "::ffff:1.1.1.1"] {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
    }

    #[test]
    fn urls_have_the_form_of_an_endpoint() {
        let refused = [
            ("http://example.ch/hook", UrlError::Malformed),
            ("ftp://example.ch/", UrlError::Malformed),
            ("example.ch", UrlError::Malformed),
            ("https://user@example.ch/", UrlError::Superfluous),
            ("https://example.ch/#part", UrlError::Superfluous),
            ("https://127.0.0.1/", UrlError::Private),
            ("https://0x7f000001/", UrlError::Private),
            ("https://[::ffff:169.254.169.254]/", UrlError::Private),
        ];
        for (url, error) in refused {
            assert_eq!(TargetUrl::parse(url, false), Err(error), "{url}");
        }
        assert!(TargetUrl::parse("https://example.ch/hooks?salon=1", false).is_ok());
        assert!(TargetUrl::parse("http://127.0.0.1:8080/", true).is_ok());
    }
}
