//! The cases by what they go for.

mod accounts;
mod business;
mod edge;
mod limits;
mod paths;
mod sessions;
mod slow;
mod smuggling;
mod tokens;

use crate::Case;

/// A list of cases: id, what is tried, the law, the function that tries it.
macro_rules! cases {
    ($($id:literal $what:literal [$($law:literal),* $(,)?] |$arena:ident| $run:expr;)*) => {
        pub(crate) fn cases() -> Vec<$crate::Case> {
            vec![$($crate::Case {
                id: $id,
                what: $what,
                law: &[$($law),*],
                run: |$arena: &$crate::Arena| Box::pin(async move { $run }),
            }),*]
        }
    };
}
pub(crate) use cases;

pub(crate) fn all() -> Vec<Case> {
    let mut cases = tokens::cases();
    cases.extend(sessions::cases());
    cases.extend(accounts::cases());
    cases.extend(edge::cases());
    cases.extend(smuggling::cases());
    cases.extend(paths::cases());
    cases.extend(business::cases());
    cases.extend(slow::cases());
    cases.extend(limits::cases());
    cases
}
