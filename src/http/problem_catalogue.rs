//! The catalogue of problems: every code Till can answer with, its status, title and advice.
//!
//! A code is a promise: clients branch on it, so one is never renamed and never changes its status. The
//! advice says what to do next, because whoever reads it has something that does not work.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What the catalogue says about one code.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    /// The stable identifier clients branch on.
    pub code: &'static str,
    /// The HTTP status every answer with this code has.
    pub status: u16,
    /// The same short sentence in every answer with this code.
    pub title: &'static str,
    /// What it means and what to do next; shown on the code's page.
    pub help: &'static str,
}

macro_rules! catalogue {
    ($($variant:ident $code:literal $status:literal $title:literal $help:literal)*) => {
        /// A code of the catalogue, served as a page at `/problems/<code>`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
        #[serde(rename_all = "snake_case")]
        #[schema(as = ProblemCode)]
        pub enum Code {
            $(
                #[doc = $title]
                $variant,
            )*
        }

        impl Code {
            /// Every code, in the order of the catalogue.
            pub const ALL: &'static [Code] = &[$(Code::$variant),*];

            /// What the catalogue says about this code.
            pub const fn entry(self) -> Entry {
                match self {
                    $(Code::$variant => Entry { code: $code, status: $status, title: $title, help: $help },)*
                }
            }
        }
    };
}

catalogue! {
    BadRequest "bad_request" 400
        "The request could not be understood"
        "The request line, a header or a query parameter is not valid HTTP or not what this route takes. Compare \
         the request with the API document at /openapi.json; `detail` says what was wrong when it is known."
    MalformedJson "malformed_json" 400
        "The body is not valid JSON"
        "The body must be one JSON document in UTF-8, without a byte order mark and without anything after it. \
         `detail` names the line and column. Build bodies with a JSON library rather than by joining strings."
    BodyTruncated "body_truncated" 400
        "The body ended early"
        "Fewer bytes arrived than were announced, so nothing was done. The connection was probably cut. Send the \
         whole request again, with the same Idempotency-Key."
    IdempotencyKeyMissing "idempotency_key_missing" 400
        "An Idempotency-Key is required"
        "This route does something that must not happen twice. Send a header `Idempotency-Key` with a value that is \
         unique to the thing you want done, for example a UUID you keep with your own record, and send the same \
         value when you try again."
    IdempotencyKeyInvalid "idempotency_key_invalid" 400
        "The Idempotency-Key is not valid"
        "The header must be given once and hold 1 to 255 visible ASCII characters, without spaces. A UUID is a good \
         choice."
    InvalidSignature "invalid_signature" 400
        "The webhook signature does not verify"
        "The signature header is missing, too old, or was not made with a secret Till knows. Check that the endpoint's \
         signing secret is configured, that nothing between the provider and Till changes the body, and that the \
         clocks are right."
    MalformedEvent "malformed_event" 400
        "The event could not be read"
        "The signature was good but the body is not an event of this provider. Check that the endpoint points at the \
         right path and that the provider's API version is one Till supports."
    Unauthenticated "unauthenticated" 401
        "A valid API key is required"
        "Send `Authorization: Bearer <key>` with a key that exists and is not revoked. Keys are made with \
         `till key create`. Till does not say which part of a key was wrong."
    Forbidden "forbidden" 403
        "The key does not allow this"
        "The key is valid but lacks the right for this call: a publishable key reaches only what browsers need, and \
         a secret key only what its scopes name. Use another key or make one with the scope in `detail`."
    NotFound "not_found" 404
        "There is nothing here"
        "Either no route has this path or no object of your shop has this id. What belongs to another shop answers in \
         the same way. Check the id, and that the key is of the shop and mode (test or live) that made the object."
    MethodNotAllowed "method_not_allowed" 405
        "The method is not available at this path"
        "The path exists, but not for this method. The header `Allow` lists the methods it takes."
    RequestTimeout "request_timeout" 408
        "The body did not arrive in time"
        "The body took too long to arrive, so nothing was done. Send the whole request again, with the same \
         Idempotency-Key; if it happens often, look at the network between the client and Till."
    ReferenceTaken "reference_taken" 409
        "The reference already belongs to an order"
        "A reference is unique in a shop for ever. If this is the same purchase, fetch the order it belongs to \
         (`order_id`, given to secret keys); otherwise use another reference."
    IdempotencyInProgress "idempotency_in_progress" 409
        "The first request with this key is still running"
        "Another request with this Idempotency-Key has not finished. Wait for the seconds in `Retry-After` and send \
         the same request again: you will get the first one's answer."
    NothingToPay "nothing_to_pay" 409
        "The order has nothing to pay"
        "The total of the order is zero, so it counts as paid and needs no checkout session."
    OrderClosed "order_closed" 409
        "The order is closed"
        "The order was cancelled, has expired, or is being cancelled, and takes no further payment. Place a new order."
    PaymentProcessing "payment_processing" 409
        "A payment is being processed"
        "The provider has not decided yet about a payment for this order. Wait for the event that says how it ended, \
         or look at the order again later."
    AlreadyPaid "already_paid" 409
        "The order is already paid"
        "Money has been taken or authorised for this order. To give it back, refund it, or void the authorisation."
    CheckoutSessionConflict "checkout_session_conflict" 409
        "Another checkout session is open"
        "The order has an open session with other terms: use that session, or expire it first and make a new one. Or it \
         has one that is being ended, as was asked for: try again in a moment. Or this key's own has ended before the \
         key had its last answer: use a new key."
    AlreadyCaptured "already_captured" 409
        "The payment is already captured"
        "A payment can be captured once; what was not captured then has been released. Fetch the payment for the amount."
    NotCapturable "not_capturable" 409
        "The payment cannot be captured"
        "Only an authorised payment can be captured. Fetch the payment to see its status; it may have been voided, have \
         failed or have expired."
    NotVoidable "not_voidable" 409
        "The payment cannot be voided"
        "Only an authorised payment that was not captured can be voided. Refund a captured one instead."
    RefundExceedsCaptured "refund_exceeds_captured" 409
        "The refund is larger than what is left"
        "Refunds, pending ones included, cannot add up to more than was captured. Fetch the payment to see what is left \
         and ask for no more than that."
    PaymentDisputed "payment_disputed" 409
        "The payment is disputed"
        "The customer's bank has opened a dispute, and a refund now could return the money twice. Answer the dispute at \
         the provider, and refund when it is closed in your favour."
    ModeMismatch "mode_mismatch" 409
        "Test and live do not mix"
        "A test shop uses test provider accounts only, and a live shop live ones only. Use a shop of the right mode."
    PayloadTooLarge "payload_too_large" 413
        "The body is too large"
        "Bodies may have up to 256 KiB. Send less in one request; keep large data elsewhere and only its id in \
         `metadata`."
    UriTooLong "uri_too_long" 414
        "The address is too long"
        "The path and query are longer than anything Till serves. Check how the address is built; lists take filters, \
         not lists of ids."
    UnsupportedMediaType "unsupported_media_type" 415
        "The content type is not supported"
        "Send JSON with `Content-Type: application/json` (UTF-8) and without `Content-Encoding`. Forms are not accepted."
    InvalidRequest "invalid_request" 422
        "The request is not valid"
        "The body is JSON but not what this route takes. `errors` lists each place as a JSON pointer (RFC 6901) with \
         what was expected there. Unknown and repeated fields are refused, so that a misspelt field cannot go unnoticed."
    IdempotencyKeyReused "idempotency_key_reused" 422
        "The Idempotency-Key was used for another request"
        "This key was already used on this route with a different body. Use a new key for a new request, and send the \
         very same request when trying again."
    AmountNotChargeable "amount_not_chargeable" 422
        "The provider cannot charge this amount"
        "The payment provider does not take this total in this currency: it has too many digits, or is too large or too \
         small. Change the amount or the currency."
    RateLimited "rate_limited" 429
        "Too many requests"
        "Wait for the seconds in `Retry-After`, then go on more slowly. `RateLimit-Policy` says what is allowed, and \
         `RateLimit` what is left."
    InternalError "internal_error" 500
        "Something went wrong in Till"
        "This is a fault in Till, not in the request. Sending it again with the same Idempotency-Key is safe. If it \
         stays, report the `request_id`: the log has the cause under it."
    ProviderRejected "provider_rejected" 502
        "The payment provider refused the request"
        "The provider understood the request and said no, so trying again unchanged will not help. The \
         order's timeline has its reason."
    ProviderUnavailable "provider_unavailable" 503
        "The payment provider cannot be reached"
        "Nothing is lost: send the same request with the same Idempotency-Key after the seconds in `Retry-After`."
    DatabaseUnavailable "database_unavailable" 503
        "The database cannot be reached"
        "It went away before the request was done, or just then: then it is done all the same. Send the same request \
         with the same Idempotency-Key after the seconds in `Retry-After`; it is done once."
    InvariantBroken "invariant_broken" 503
        "Something that must always hold does not"
        "Only `/health/ready?deep=1` answers so. `detail` says which checks found something; run `till verify`, which \
         lists every row and what is wrong with it, before doing anything else."
    Overloaded "overloaded" 503
        "Till is too busy"
        "The request was turned away before anything was done. Send it again after the seconds in `Retry-After`, and \
         wait longer each time."
}

impl Code {
    /// The code as it stands in answers and in the page's address.
    pub const fn as_str(self) -> &'static str {
        self.entry().code
    }

    /// The HTTP status of every answer with this code.
    pub const fn status(self) -> u16 {
        self.entry().status
    }

    /// The code with this spelling.
    pub fn find(spelling: &str) -> Option<Code> {
        Code::ALL
            .iter()
            .copied()
            .find(|code| code.as_str() == spelling)
    }

    /// The seconds a client is told to wait where the caller has nothing better to say.
    pub const fn default_retry_after_s(self) -> Option<u64> {
        match self {
            Code::IdempotencyInProgress | Code::RateLimited | Code::Overloaded => Some(1),
            Code::DatabaseUnavailable => Some(2),
            Code::InvariantBroken => Some(60),
            Code::ProviderUnavailable => Some(5),
            _ => None,
        }
    }

    /// The code that stands for a bare status, as Rocket answers when no guard said more.
    pub const fn for_status(status: u16) -> Code {
        match status {
            401 => Code::Unauthenticated,
            403 => Code::Forbidden,
            404 => Code::NotFound,
            405 => Code::MethodNotAllowed,
            408 => Code::RequestTimeout,
            413 => Code::PayloadTooLarge,
            414 => Code::UriTooLong,
            415 => Code::UnsupportedMediaType,
            422 => Code::InvalidRequest,
            429 => Code::RateLimited,
            503 => Code::Overloaded,
            400..=499 => Code::BadRequest,
            _ => Code::InternalError,
        }
    }
}

#[cfg(test)]
mod tests {
    //! The catalogue holds together: unique codes, true statuses, advice for each.

    use std::collections::HashSet;

    use super::*;

    #[test]
    fn codes_are_unique_and_found_by_their_spelling() {
        let spellings: HashSet<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(spellings.len(), Code::ALL.len());
        assert!(
            Code::ALL
                .iter()
                .all(|code| Code::find(code.as_str()) == Some(*code))
        );
        assert_eq!(Code::find("no_such_code"), None);
    }

    #[test]
    fn every_entry_has_an_error_status_and_advice() {
        for code in Code::ALL {
            let entry = code.entry();
            assert!((400..=599).contains(&entry.status), "{}", entry.code);
            assert!(
                entry.help.len() > 60 && entry.help.ends_with('.'),
                "{}",
                entry.code
            );
            assert!(
                !entry.title.ends_with('.') && !entry.help.contains("  "),
                "{}",
                entry.code
            );
            assert_eq!(serde_json::to_value(code).unwrap(), entry.code);
        }
    }

    #[test]
    fn busy_answers_say_when_to_come_back() {
        for code in Code::ALL {
            let waits = matches!(code.status(), 429 | 503) || *code == Code::IdempotencyInProgress;
            assert_eq!(
                code.default_retry_after_s().is_some(),
                waits,
                "{}",
                code.as_str()
            );
        }
    }

    #[test]
    fn a_bare_status_gets_a_code_of_that_status_where_there_is_one() {
        for code in Code::ALL {
            assert_eq!(
                Code::for_status(code.status()).status() / 100,
                code.status() / 100
            );
        }
        assert_eq!(Code::for_status(418), Code::BadRequest);
        assert_eq!(Code::for_status(500), Code::InternalError);
    }
}
