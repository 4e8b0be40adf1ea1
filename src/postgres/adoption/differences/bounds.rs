//! Whether the expression of a policy keeps to the rows of the current tenant, for its members. Read as the catalogue prints
//! it; what is spelled in another way than the MVP's is taken for open.

use std::collections::BTreeSet;

const TENANT: &str = "app_private.current_tenant_id()";
const USER: &str = "auth.uid()";

pub(super) struct Bounds<'a> {
    /// That says which tenant a row is of.
    pub column: &'a str,
    /// Functions that ask who is a member.
    pub asking: &'a BTreeSet<String>,
}

impl Bounds<'_> {
    pub fn hold(&self, expression: &str) -> bool {
        each_way(expression, &|all| {
            let is_of_tenant = all.iter().any(|one| is_equation(one, self.column, TENANT));
            let asks = |of: &str| all.iter().any(|one| self.asks(one, of));
            // Members of a tenant may see that it is there, whichever they act for.
            is_of_tenant && (asks(self.column) || asks(TENANT)) || self.column == "id" && asks(self.column)
        })
    }

    pub fn are_of_own_user(&self, expression: &str) -> bool {
        each_way(expression, &|all| all.iter().any(|one| is_equation(one, "user_id", USER)))
    }

    /// `is_tenant_member(of)`, or another function that asks, whatever else it is told.
    fn asks(&self, call: &str, of: &str) -> bool {
        let Some((function, arguments)) = call.strip_suffix(')').and_then(|call| call.split_once('(')) else {
            return false;
        };
        let is_one_call = depths(arguments).all(|(_, depth)| depth >= 0);
        let first = arguments.split(", ").next().unwrap_or_default();
        is_one_call && self.asking.contains(function) && plain(first) == of
    }
}

/// Of each alternative, whether it holds of what has to be true at once.
fn each_way(expression: &str, holds: &dyn Fn(&[&str]) -> bool) -> bool {
    let ways = parts(expression, " OR ");
    if ways.len() > 1 {
        return ways.iter().all(|way| each_way(way, holds));
    }
    let mut all = Vec::new();
    collect(expression, &mut all);
    all == ["false"] || holds(&all)
}

fn collect<'a>(expression: &'a str, all: &mut Vec<&'a str>) {
    let parts = parts(expression, " AND ");
    if let [one] = parts[..] {
        all.push(plain(one));
    } else {
        parts.into_iter().for_each(|part| collect(part, all));
    }
}

fn is_equation(one: &str, left: &str, right: &str) -> bool {
    one.split_once(" = ").is_some_and(|(a, b)| {
        let sides = [plain(a), plain(b)];
        sides == [left, right] || sides == [right, left]
    })
}

/// Without the parentheses around it, and without the SELECT that has it asked once a statement.
fn plain(expression: &str) -> &str {
    let inner = without_parentheses(expression);
    match inner.strip_prefix("SELECT ").and_then(|rest| rest.rsplit_once(" AS ")) {
        Some((value, name)) if !name.contains([' ', ')']) => without_parentheses(value),
        _ => inner,
    }
}

fn without_parentheses(expression: &str) -> &str {
    let mut text = expression.trim();
    while let Some(inner) = text.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')) {
        let closes_early = depths(inner).any(|(_, depth)| depth < 0);
        if closes_early {
            break;
        }
        text = inner.trim();
    }
    text
}

/// What an operator joins, outside of parentheses and quotes.
fn parts<'a>(expression: &'a str, operator: &str) -> Vec<&'a str> {
    let text = without_parentheses(expression);
    let mut parts = Vec::new();
    let mut begin = 0;
    for (at, depth) in depths(text) {
        if depth == 0 && at >= begin && text[at..].starts_with(operator) {
            parts.push(&text[begin..at]);
            begin = at + operator.len();
        }
    }
    parts.push(&text[begin..]);
    parts
}

/// Of each character outside of quotes, how many parentheses are open after it.
fn depths(text: &str) -> impl Iterator<Item = (usize, i32)> + '_ {
    let (mut depth, mut quote) = (0, None);
    text.char_indices().filter_map(move |(at, letter)| {
        match (quote, letter) {
            (None, '\'' | '"') => quote = Some(letter),
            (Some(open), _) if open == letter => quote = None,
            (None, '(') => depth += 1,
            (None, ')') => depth -= 1,
            _ => {}
        }
        quote.is_none().then_some((at, depth))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_functions_bind_a_row_and_nothing_less_does() {
        let asking = ["app_private.is_tenant_member", "has_role_in_tenant"].map(str::to_owned).into();
        let bounds = Bounds { column: "tenant_id", asking: &asking };
        let tenant = "(tenant_id = app_private.current_tenant_id())";
        let member = "app_private.is_tenant_member(tenant_id)";
        for bound in [
            format!("({tenant} AND {member})"),
            format!("(({tenant} AND {member}) AND (status <> 'draft'::text))"),
            "((tenant_id = ( SELECT app_private.current_tenant_id() AS current_tenant_id)) AND \
             ( SELECT app_private.is_tenant_member(app_private.current_tenant_id()) AS is_tenant_member))"
                .to_owned(),
            format!("({tenant} AND has_role_in_tenant(tenant_id, 'owner'::text))"),
            format!("(({tenant} AND {member}) OR ({tenant} AND has_role_in_tenant(tenant_id, 'x) OR ('::text)))"),
            "false".to_owned(),
        ] {
            assert!(bounds.hold(&bound), "{bound}");
        }
        for open in [
            "true".to_owned(),
            tenant.to_owned(),
            member.to_owned(),
            format!("(({tenant} AND {member}) OR true)"),
            format!("({tenant} AND (NOT {member}))"),
            format!("({tenant} AND ({member} OR true))"),
            format!("({tenant} AND ({member} = (1 = 2)))"),
            format!("({tenant} AND app_private.is_tenant_member(id))"),
            format!("({tenant} AND something(tenant_id))"),
            "(auth.uid() IS NOT NULL)".to_owned(),
            "(user_id = auth.uid())".to_owned(),
        ] {
            assert!(!bounds.hold(&open), "{open}");
        }
        assert!(bounds.are_of_own_user("(user_id = ( SELECT auth.uid() AS uid))"));
        assert!(!bounds.are_of_own_user("((user_id = auth.uid()) OR true)"));
        let tenants = Bounds { column: "id", asking: &asking };
        assert!(tenants.hold("app_private.is_tenant_member(id)") && !tenants.hold("true"));
    }
}
