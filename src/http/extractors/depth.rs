/// Whether JSON is nested no deeper than `max`. Looked at before parsing, since deep nesting is an attack on the parser.
pub fn is_within(json: &[u8], max: usize) -> bool {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for byte in json {
        match (in_string, byte) {
            (true, _) if escaped => escaped = false,
            (true, b'\\') => escaped = true,
            (_, b'"') => in_string = !in_string,
            (false, b'{' | b'[') => depth += 1,
            (false, b'}' | b']') => depth = depth.saturating_sub(1),
            (_, _) => {}
        }
        if depth > max {
            return false;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::is_within;

    #[test]
    fn brackets_count_outside_of_strings_only() {
        assert!(is_within(br#"[[{"a":"[[[[\"{{{"}]]"#, 3));
        assert!(!is_within(br#"[[{"a":[]}]]"#, 3));
        assert!(is_within(br#"[[],[],[],[]]"#, 2));
        assert!(!is_within(br#"{"\\":[[]]}"#, 2));
    }
}
