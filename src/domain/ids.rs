//! Ids: TypeIDs over UUIDv7, one type a noun.
//!
//! The text form (`ord_01h…`) is what is stored and what is on the wire; it sorts by creation. A value of one
//! noun can never be passed for another's, and text with a foreign prefix does not parse.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use type_safe_id::{StaticType, TypeSafeId};
use uuid::Uuid;

use super::time::Timestamp;

/// The text is not an id of the wanted kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an id of this kind")]
pub struct InvalidId;

/// An id type: made from a UUIDv7, shown with its prefix.
pub trait Id: Copy + fmt::Display + FromStr<Err = InvalidId> {
    /// What the text form begins with, before the underscore.
    const PREFIX: &'static str;
    /// The id over this UUID.
    fn from_uuid(uuid: Uuid) -> Self;
    /// The UUID.
    fn uuid(self) -> Uuid;

    /// When it was made, in whole milliseconds: the first 48 bits.
    fn made_at(self) -> Timestamp {
        let ms = self.uuid().as_u128() >> 80;
        Timestamp::from_ms(i64::try_from(ms).unwrap_or(i64::MAX))
    }

    /// The smallest id that can be made at this time; times before 1970 and after the year 10889 are taken for those.
    fn first_of(time: Timestamp) -> Self {
        let ms = u128::try_from(time.ms()).unwrap_or(0).min((1 << 48) - 1);
        Self::from_uuid(Uuid::from_u128(ms << 80))
    }
}

macro_rules! ids {
    ($($(#[doc = $doc:literal])* $name:ident, $tag:ident = $prefix:literal;)*) => {$(
        $(#[doc = $doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Uuid);

        #[derive(Default)]
        struct $tag;

        impl StaticType for $tag {
            const TYPE: &'static str = $prefix;
        }

        impl Id for $name {
            const PREFIX: &'static str = $prefix;
            fn from_uuid(uuid: Uuid) -> Self {
                $name(uuid)
            }

            fn uuid(self) -> Uuid {
                self.0
            }
        }

        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
                super::forms::id(concat!($($doc),*), $prefix)
            }
        }

        impl utoipa::ToSchema for $name {
            fn name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                TypeSafeId::<$tag>::from_uuid(self.0).fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let id: TypeSafeId<$tag> = text.parse().map_err(|_| InvalidId)?;
                // Only the canonical spelling is the id; anything else names nothing.
                if id.to_string() == text { Ok($name(id.uuid())) } else { Err(InvalidId) }
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}

ids! {
    /// A shop, the owner of orders, keys and catalogue.
    ShopId, ShopTag = "shop";
    /// An API key (the row, not the secret).
    ApiKeyId, ApiKeyTag = "key";
    /// A provider account.
    AccountId, AccountTag = "pa";
    /// A member of staff.
    StaffId, StaffTag = "stf";
    /// A session of a member of staff.
    StaffSessionId, StaffSessionTag = "ses";
    /// An entry of the audit log.
    AuditId, AuditTag = "aud";
    /// A product of a shop's catalogue.
    ProductId, ProductTag = "prod";
    /// A product's price in one currency.
    PriceId, PriceTag = "price";
    /// An order.
    OrderId, OrderTag = "ord";
    /// A line of an order.
    LineItemId, LineItemTag = "li";
    /// A checkout session.
    CheckoutSessionId, CheckoutSessionTag = "cs";
    /// A payment: one intent at the provider.
    PaymentId, PaymentTag = "pay";
    /// A refund.
    RefundId, RefundTag = "re";
    /// A dispute.
    DisputeId, DisputeTag = "dp";
    /// An inbox row: one event a provider reported.
    ProviderEventId, ProviderEventTag = "pev";
    /// One operation at the provider that changes something.
    CallId, CallTag = "pcall";
    /// One try of a provider call.
    AttemptId, AttemptTag = "patt";
    /// One fact settlement folds.
    FactId, FactTag = "fact";
    /// An open question for people.
    ReviewId, ReviewTag = "rev";
    /// What somebody decided of an open question.
    DecisionId, DecisionTag = "dec";
    /// A note of the staff on an order.
    NoteId, NoteTag = "note";
    /// A ledger account.
    LedgerAccountId, LedgerAccountTag = "lacc";
    /// A ledger transaction.
    LedgerTransactionId, LedgerTransactionTag = "ltx";
    /// A ledger entry.
    LedgerEntryId, LedgerEntryTag = "lent";
    /// A public event.
    EventId, EventTag = "evt";
    /// A stored idempotent answer.
    IdempotencyId, IdempotencyTag = "idem";
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn text_round_trips_and_sorts_like_the_uuid(a in any::<u128>(), b in any::<u128>()) {
            let (a, b) = (OrderId::from_uuid(Uuid::from_u128(a)), OrderId::from_uuid(Uuid::from_u128(b)));
            prop_assert_eq!(a.to_string().parse(), Ok(a));
            prop_assert_eq!(a.cmp(&b), a.to_string().cmp(&b.to_string()));
        }

        #[test]
        fn ids_made_at_a_time_are_between_its_first_and_the_first_of_the_next(
            ms in 0_u64..1 << 47, rest in any::<u128>(),
        ) {
            let time = Timestamp::from_ms(i64::try_from(ms).expect("small"));
            let id = OrderId::from_uuid(Uuid::from_u128((u128::from(ms) << 80) | (rest >> 48)));
            prop_assert_eq!(id.made_at(), time);
            prop_assert!(OrderId::first_of(time) <= id && id < OrderId::first_of(time.plus_ms(1)));
        }

        #[test]
        fn arbitrary_text_never_panics(text in ".{0,60}") {
            let _: Result<OrderId, _> = text.parse();
        }
    }

    #[test]
    fn foreign_prefixes_and_other_spellings_name_nothing() {
        let id = OrderId::from_uuid(Uuid::from_u128(7)).to_string();
        assert!(id.starts_with("ord_"));
        let upper = id.to_uppercase();
        for text in [
            id.replace("ord_", "pay_"),
            upper,
            format!("{id} "),
            String::new(),
        ] {
            assert!(text.parse::<OrderId>().is_err(), "{text}");
        }
    }
}
