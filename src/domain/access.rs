//! Who may do what: modes, kinds of key, scopes and actors.

use std::fmt;
use std::str::FromStr;

/// A word of a closed list that is stored and sent as text.
macro_rules! words {
    ($(#[doc = $doc:literal])* $name:ident { $($(#[doc = $vdoc:literal])* $variant:ident = $text:literal,)* }) => {
        $(#[doc = $doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        pub enum $name {
            $($(#[doc = $vdoc])* #[serde(rename = $text)] $variant,)*
        }

        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
                $crate::domain::forms::words(concat!($($doc),*), &[$(($text, concat!($($vdoc),*)),)*])
            }
        }

        impl utoipa::ToSchema for $name {
            fn name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }
        }

        impl $name {
            /// Every value, in order.
            pub const ALL: &'static [$name] = &[$($name::$variant),*];

            /// The word that is stored and sent.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $($name::$variant => $text,)* }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::domain::access::UnknownWord;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                match text {
                    $($text => Ok($name::$variant),)*
                    _ => Err($crate::domain::access::UnknownWord { wanted: stringify!($name) }),
                }
            }
        }
    };
}
pub(crate) use words;

/// The text is not one of a closed list of words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a known {wanted}")]
pub struct UnknownWord {
    /// The name of the list.
    pub wanted: &'static str,
}

words! {
    /// Whether money is real.
    Mode {
        /// Nothing real moves.
        Test = "test",
        /// Real money.
        Live = "live",
    }
}

words! {
    /// The two kinds of API key.
    KeyKind {
        /// For servers: everything its scopes allow.
        Secret = "secret",
        /// For browsers: only what is marked so.
        Publishable = "publishable",
    }
}

impl KeyKind {
    /// What keys of this kind begin with.
    #[must_use]
    pub const fn prefix(self) -> &'static str {
        match self {
            KeyKind::Secret => "sk",
            KeyKind::Publishable => "pk",
        }
    }
}

words! {
    /// A right of a secret key.
    Scope {
        /// Read orders, checkout sessions and payments.
        OrdersRead = "orders:read",
        /// Place and cancel orders, start checkouts, record fulfilments.
        OrdersWrite = "orders:write",
        /// Capture and void payments.
        PaymentsWrite = "payments:write",
        /// Refund.
        RefundsWrite = "refunds:write",
        /// Change the catalogue.
        CatalogueWrite = "catalogue:write",
        /// Read events.
        EventsRead = "events:read",
        /// Manage webhook endpoints.
        WebhooksWrite = "webhooks:write",
        /// Read the ledger.
        LedgerRead = "ledger:read",
    }
}

/// The rights of one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scopes(Vec<Scope>);

impl Scopes {
    /// Every right there is.
    #[must_use]
    pub fn all() -> Self {
        Scopes(Scope::ALL.to_vec())
    }

    /// These rights, each once.
    #[must_use]
    pub fn new(mut scopes: Vec<Scope>) -> Self {
        scopes.sort_unstable();
        scopes.dedup();
        Scopes(scopes)
    }

    /// Whether a right is among them.
    #[must_use]
    pub fn allow(&self, scope: Scope) -> bool {
        self.0.contains(&scope)
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, scope) in self.0.iter().enumerate() {
            if at > 0 {
                f.write_str(" ")?;
            }
            f.write_str(scope.as_str())?;
        }
        Ok(())
    }
}

impl FromStr for Scopes {
    type Err = UnknownWord;
    /// Rights separated by spaces or commas.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.split([' ', ','])
            .filter(|word| !word.is_empty())
            .map(str::parse)
            .collect::<Result<Vec<Scope>, _>>()
            .map(Scopes::new)
    }
}

/// Who or what caused a change, and in which request: stored with everything that changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace {
    /// The request it happened in, when there was one.
    pub request_id: Option<String>,
    /// A key id, a staff id, or `system`.
    pub actor: String,
}

impl Trace {
    /// A change Till makes by itself.
    #[must_use]
    pub fn system() -> Self {
        Trace {
            request_id: None,
            actor: "system".to_owned(),
        }
    }
}
