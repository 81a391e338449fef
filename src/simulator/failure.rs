//! Stripe's error object, and the rule which errors an idempotency key remembers.
use serde_json::{Map, Value, json};

/// A refused API request.
#[derive(Debug, Clone)]
pub struct Failure {
    /// The HTTP status.
    pub status: u16,
    kind: &'static str,
    code: Option<&'static str>,
    message: String,
    param: Option<String>,
    /// Whether the endpoint had begun to execute, so that the answer is kept under the key.
    /// Failed validation and conflicts are not kept and may be retried with the same key.
    pub stored: bool,
    intent: Option<Box<Value>>,
}

impl Failure {
    fn new(status: u16, kind: &'static str, message: impl Into<String>) -> Failure {
        Failure {
            status,
            kind,
            code: None,
            message: message.into(),
            param: None,
            stored: false,
            intent: None,
        }
    }

    /// A parameter that is not acceptable.
    pub fn parameter(param: impl Into<String>, message: impl Into<String>) -> Failure {
        let failure = Failure::new(400, "invalid_request_error", message);
        Failure {
            param: Some(param.into()),
            ..failure
        }
    }

    /// A parameter that had to be there.
    pub fn missing(param: impl Into<String>) -> Failure {
        let param = param.into();
        let message = format!("Missing required param: {param}.");
        Failure::parameter(param, message).code("parameter_missing")
    }

    /// A parameter that the endpoint doesn't know.
    pub fn unknown(param: impl Into<String>) -> Failure {
        let param = param.into();
        let message = format!("Received unknown parameter: {param}");
        Failure::parameter(param, message).code("parameter_unknown")
    }

    /// An object that doesn't exist.
    pub fn no_such(noun: &str, param: &str, id: &str) -> Failure {
        let failure = Failure::parameter(param, format!("No such {noun}: '{id}'"));
        Failure {
            status: 404,
            ..failure
        }
        .code("resource_missing")
    }

    /// A request that its object's state forbids: found while executing, hence remembered.
    pub fn state(message: impl Into<String>) -> Failure {
        Failure {
            stored: true,
            ..Failure::new(400, "invalid_request_error", message)
        }
    }

    /// No key, a malformed key or a live one.
    pub fn unauthorized(message: impl Into<String>) -> Failure {
        Failure::new(401, "invalid_request_error", message)
    }

    /// No such address.
    pub fn unrecognized(method: &str, path: &str) -> Failure {
        let message = format!(
            "Unrecognized request URL ({method}: {path}). Please see https://stripe.com/docs or we \
             can help at https://support.stripe.com/."
        );
        Failure::new(404, "invalid_request_error", message)
    }

    /// A body that can't be read.
    pub fn malformed(message: impl Into<String>) -> Failure {
        Failure::new(400, "invalid_request_error", message)
    }

    /// A key that came with another request before.
    pub fn key_mismatch(message: impl Into<String>) -> Failure {
        Failure::new(400, "idempotency_error", message)
    }

    /// A key whose first request is still at work.
    pub fn key_in_use() -> Failure {
        let message = "There is currently another in-progress request using this Stripe Idempotent \
             Key (that probably means you submitted twice, and the other request is still going \
             through). Please try again later.";
        Failure::new(409, "invalid_request_error", message).code("idempotency_key_in_use")
    }

    /// The provider's own trouble.
    pub fn trouble(status: u16) -> Failure {
        if status == 429 {
            let message = "Request rate limit exceeded. Learn more about rate limits here: \
                 https://stripe.com/docs/rate-limits.";
            return Failure::new(429, "invalid_request_error", message).code("rate_limit");
        }
        if matches!(status, 401 | 403) {
            let message = "The API key was refused.";
            return Failure::new(status, "invalid_request_error", message);
        }
        if status == 404 {
            // As with the key of an account that has no such object.
            let message = "No such object.";
            let failure = Failure::new(404, "invalid_request_error", message);
            return failure.code("resource_missing");
        }
        let message = "Sorry! There was an error while talking to one of our backends. Please try \
             again later or contact support.";
        Failure::new(status, "api_error", message)
    }

    /// The same with an error code.
    pub fn code(self, code: &'static str) -> Failure {
        Failure {
            code: Some(code),
            ..self
        }
    }

    /// The same with the parameter at fault.
    pub fn at(self, param: &str) -> Failure {
        Failure {
            param: Some(param.to_owned()),
            ..self
        }
    }

    /// The same with the intent whose state forbids the request.
    pub fn with_intent(self, intent: Value) -> Failure {
        Failure {
            intent: Some(Box::new(intent)),
            ..self
        }
    }

    /// The answer's body.
    pub fn body(&self, request_id: &str) -> Value {
        let mut error = Map::new();
        if let Some(code) = self.code {
            error.insert("code".into(), code.into());
            let page = code.replace('_', "-");
            error.insert(
                "doc_url".into(),
                format!("https://stripe.com/docs/error-codes/{page}").into(),
            );
        }
        error.insert("message".into(), self.message.clone().into());
        if let Some(param) = &self.param {
            error.insert("param".into(), param.clone().into());
        }
        if let Some(intent) = &self.intent {
            error.insert("payment_intent".into(), (**intent).clone());
        }
        let log = format!("https://dashboard.stripe.com/test/logs/{request_id}");
        error.insert("request_log_url".into(), log.into());
        error.insert("type".into(), self.kind.into());
        json!({ "error": error })
    }
}
