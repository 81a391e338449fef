//! A shop with something in it, its server, and people who sign in to the console with a browser.

use serde_json::{Value, json};

use super::chromium::Browser;
use super::tab::Tab;
use crate::harness::{Client, Sandbox, Server, eventually};

/// A running server with its simulator, and a browser.
pub struct Console {
    /// For downloads.
    pub browser: Browser,
    /// The shop's own back end.
    pub shop: Client,
    /// The provider.
    pub provider: Client,
    /// The shop's pages begin with this.
    pub desk: String,
    /// The server.
    pub server: Server,
    sandbox: Sandbox,
}

/// Somebody who may sign in.
pub struct Person {
    /// What they type first.
    pub email: String,
    /// What nobody else knows.
    pub password: String,
}

impl Console {
    /// An empty shop; none where there is no browser to look at it with.
    pub async fn open() -> Option<Console> {
        let browser = Browser::start().await?;
        let sandbox = Sandbox::new().await;
        let (server, simulator) = sandbox.serve_with_simulator().await;
        let made = sandbox
            .run(&["key", "create", "--kind", "secret", "--json"])
            .await
            .success()
            .json();
        let shop = server.client(made["key"].as_str().expect("a key"));
        let shops = sandbox.texts("SELECT id FROM shop").await;
        let desk = format!("/staff/{}", shops[0]);
        let provider = Client::new(&simulator, None);
        Some(Console {
            browser,
            shop,
            provider,
            desk,
            server,
            sandbox,
        })
    }

    /// The first column of every row of the database.
    pub async fn texts(&self, sql: &str) -> Vec<String> {
        self.sandbox.texts(sql).await
    }

    /// Adds somebody with this role.
    pub async fn person(&self, role: &str) -> Person {
        let email = format!("{role}@shop.example");
        let words = [
            "staff",
            "create",
            "--email",
            &email,
            "--name",
            "Ada Byron",
            "--role",
            role,
            "--generate",
            "--json",
        ];
        let made = self.sandbox.run(&words).await.success().json();
        let password = made["password"].as_str().expect("a password").to_owned();
        Person { email, password }
    }

    /// An empty tab.
    pub async fn tab(&self) -> Tab {
        Tab::new(&self.browser, &self.server.url).await
    }

    /// A tab in which somebody with this role has signed in.
    pub async fn signed_in(&self, role: &str) -> Tab {
        let tab = self.tab().await;
        self.sign_in(&tab, role).await;
        tab
    }

    /// Signs somebody with this role in.
    pub async fn sign_in(&self, tab: &Tab, role: &str) {
        let person = self.person(role).await;
        tab.open("/staff").await;
        tab.fill("E-mail address", &person.email).await;
        tab.fill("Password", &person.password).await;
        tab.loads(async || tab.click("button", "Sign in").await)
            .await;
        assert_eq!(tab.path().await, self.desk);
    }

    /// Places an order of two mugs at 12.50 EUR and an engraving at 4.50 EUR.
    pub async fn place(&self, email: &str, name: &str, reference: &str) -> String {
        let body = json!({
            "currency": "EUR", "reference": reference, "customer": {"email": email, "name": name},
            "line_items": [
                {"name": "Mug", "unit_price": "12.50", "quantity": 2},
                {"name": "Engraving", "unit_price": "4.50", "quantity": 1},
            ],
        });
        let order = self.shop.post("/v1/orders", &body).await.expect(201);
        order["id"].as_str().expect("an id").to_owned()
    }

    /// Places such an order and pays it; returns its checkout session as well.
    pub async fn paid(&self, email: &str, name: &str, reference: &str) -> (String, Value) {
        let order = self.place(email, name, reference).await;
        let session = self.shop.check_out(&order).await;
        self.provider.pay(&session).await;
        self.shop.until_paid(&order).await;
        (order, session)
    }

    /// Gives this much of an order back.
    pub async fn refund(&self, order: &str, amount: &str) {
        let refund = self
            .shop
            .post(
                &format!("/v1/orders/{order}/refunds"),
                &json!({"amount": amount}),
            )
            .await;
        refund.expect(201);
    }

    /// The customer's bank takes the money back.
    pub async fn dispute(&self, order: &str, session: &Value) {
        let at_provider = session["provider_session_id"].as_str().expect("an id");
        let path = format!("/_simulator/sessions/{at_provider}/dispute");
        self.provider.post(&path, &json!({})).await.expect(200);
        eventually("the dispute is known", 20, async || {
            self.shop.order(order).await["review"] == "dispute"
        })
        .await;
    }

    /// Something of each kind: orders waiting, paid, partly refunded, disputed, and of two people of one name.
    pub async fn with_a_day_in_it(self) -> Console {
        self.paid("ada@example.com", "Ada Byron", "web-1001").await;
        let (partly, _) = self
            .paid("grace@example.com", "Grace Hopper", "web-1002")
            .await;
        self.refund(&partly, "10.00").await;
        let (disputed, session) = self.paid("edsger@example.com", "Edsger", "web-1003").await;
        self.dispute(&disputed, &session).await;
        self.place(
            "barbara.with.a.rather.long.address@mail.example.com",
            "Barbara Liskov",
            "web-1004",
        )
        .await;
        self
    }
}
