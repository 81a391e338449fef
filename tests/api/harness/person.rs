//! Somebody at the staff console: a browser with a cookie, that fills in forms as they were drawn.

use reqwest::{Method, RequestBuilder};
use till::domain::ids::{ShopId, StaffId};
use till::domain::staff::Role;
use till::service::audit::Who;
use till::service::people::NewPerson;

use super::{Answer, TestApp};

/// The name of the session's cookie.
pub const COOKIE: &str = "__Host-till";

/// A member of staff and their browser.
#[derive(Clone)]
pub struct Person {
    base_url: String,
    http: reqwest::Client,
    /// Their id.
    pub id: StaffId,
    /// Their e-mail address.
    pub email: String,
    /// Their password.
    pub password: String,
    /// The token in the browser's cookie, if any.
    pub cookie: Option<String>,
    /// What forms of the session carry.
    pub csrf: String,
}

impl TestApp {
    /// A new member of staff with this role, signed in.
    pub async fn person(&self, role: Role) -> Person {
        let mut person = self.newcomer(role, None).await;
        person.sign_in().await.expect(303);
        person
    }

    /// A new member of staff who sees one shop only, signed in.
    pub async fn person_of(&self, role: Role, shop: ShopId) -> Person {
        let mut person = self.newcomer(role, Some(shop)).await;
        person.sign_in().await.expect(303);
        person
    }

    /// A new member of staff, not signed in.
    pub async fn newcomer(&self, role: Role, shop: Option<ShopId>) -> Person {
        let name = uuid::Uuid::new_v4().simple().to_string();
        let email = format!("{name}@example.com");
        let password = format!("correct horse {name}");
        let new = NewPerson {
            email: email.clone(),
            name: format!("A {role}"),
            role,
            shop,
            password: password.clone(),
        };
        let id = self.services.add_person(&Who::cli(), new).await;
        Person {
            base_url: self.base_url.clone(),
            http: self.http.clone(),
            id: id.expect("a person"),
            email,
            password,
            cookie: None,
            csrf: String::new(),
        }
    }
}

impl Person {
    /// The same browser at another server.
    pub fn at(&self, base_url: &str) -> Person {
        Person {
            base_url: base_url.to_owned(),
            ..self.clone()
        }
    }

    /// Another browser of the same person, not signed in.
    pub fn another_browser(&self) -> Person {
        Person {
            cookie: None,
            csrf: String::new(),
            ..self.clone()
        }
    }

    /// A request with the browser's cookie, as from a page of the console.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let url = format!("{}{path}", self.base_url);
        let request = self.http.request(method, url);
        let request = request.header("Sec-Fetch-Site", "same-origin");
        match &self.cookie {
            Some(token) => request.header("Cookie", format!("{COOKIE}={token}")),
            None => request,
        }
    }

    /// GET.
    pub async fn get(&self, path: &str) -> Answer {
        let request = self.request(Method::GET, path);
        Answer::read(request.send().await.expect("Till answers")).await
    }

    /// POST of a form with the session's token.
    pub async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let mut fields = fields.to_vec();
        fields.push(("csrf", &self.csrf));
        self.post_as_is(path, &fields).await
    }

    /// POST of these fields only.
    pub async fn post_as_is(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let request = self.request(Method::POST, path);
        let request = request
            .header("Content-Type", "application/x-www-form-urlencoded")
            .body(encoded(fields));
        Answer::read(request.send().await.expect("Till answers")).await
    }

    /// Signs in with the person's password and keeps what the browser would keep.
    pub async fn sign_in(&mut self) -> Answer {
        let password = self.password.clone();
        self.sign_in_with(&password).await
    }

    /// Signs in with a password and keeps what the browser would keep.
    pub async fn sign_in_with(&mut self, password: &str) -> Answer {
        let fields = [("email", self.email.as_str()), ("password", password)];
        let answer = self.post_as_is("/staff/sign-in", &fields).await;
        self.keep(&answer).await;
        answer
    }

    /// Keeps the cookie of an answer, and reads the session's form token.
    pub async fn keep(&mut self, answer: &Answer) {
        let Some(token) = cookie_of(answer) else {
            return;
        };
        self.cookie = Some(token).filter(|token| !token.is_empty());
        let page = self.get("/staff/account").await;
        if page.status == 200 {
            page.text
                .split_once("name=\"csrf\" value=\"")
                .and_then(|(_, rest)| rest.split_once('"'))
                .expect("a form with a token")
                .0
                .clone_into(&mut self.csrf);
        }
    }
}

/// The session's token that an answer gives to the browser; empty when it takes it away.
pub fn cookie_of(answer: &Answer) -> Option<String> {
    let set = answer.header("set-cookie")?;
    let token = set.strip_prefix(COOKIE)?.strip_prefix('=')?;
    Some(token.split(';').next().unwrap_or_default().to_owned())
}

/// A form as browsers send it.
fn encoded(fields: &[(&str, &str)]) -> String {
    let escaped = |text: &str| -> String {
        text.bytes()
            .map(|byte| match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => {
                    char::from(byte).to_string()
                }
                _ => format!("%{byte:02X}"),
            })
            .collect()
    };
    let pairs = fields
        .iter()
        .map(|(name, value)| format!("{}={}", escaped(name), escaped(value)));
    pairs.collect::<Vec<_>>().join("&")
}
