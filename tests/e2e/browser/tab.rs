//! One tab: opened, read, clicked and typed into as a person would, and watched all the while.
//!
//! Whatever a page complains of (a message of level error or warning, an exception, a refusal of its content
//! security policy) and whatever it asks another host for fails the test, at the latest when the tab is dropped.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::chromium::{Browser, PATIENCE, Wire};
use super::watch::Watch;

const FIND: &str = include_str!("find.js");

/// How long to wait before looking again.
const A_MOMENT: Duration = Duration::from_millis(15);

/// A tab of a browser, in a context of its own: no cookie is shared with another one.
pub struct Tab {
    wire: Arc<Wire>,
    session: String,
    frame: String,
    server: String,
    watch: Arc<Mutex<Watch>>,
}

impl Tab {
    /// An empty tab, for pages of the server at this URL.
    pub async fn new(browser: &Browser, server: &str) -> Tab {
        let wire = browser.wire();
        let context = wire
            .call(None, "Target.createBrowserContext", json!({}))
            .await;
        let context = &context["browserContextId"];
        let downloads = json!({
            "behavior": "allowAndName", "browserContextId": context,
            "downloadPath": browser.folder(), "eventsEnabled": true,
        });
        wire.call(None, "Browser.setDownloadBehavior", downloads)
            .await;
        let target = json!({"url": "about:blank", "browserContextId": context, "width": 1280, "height": 900});
        let target = wire.call(None, "Target.createTarget", target).await;
        let attach = json!({"targetId": target["targetId"], "flatten": true});
        let attached = wire.call(None, "Target.attachToTarget", attach).await;
        let session = attached["sessionId"]
            .as_str()
            .expect("a session")
            .to_owned();
        let watch = Arc::new(Mutex::new(Watch::of(server)));
        for source in [session.clone(), String::new()] {
            let told = Arc::clone(&watch);
            let tell = move |method: &str, params: &Value| {
                told.lock().expect("not poisoned").sees(method, params);
            };
            wire.listen(&source, Arc::new(tell));
        }
        let mut tab = Tab {
            wire,
            session,
            frame: String::new(),
            server: server.to_owned(),
            watch,
        };
        for domain in ["Page", "Runtime", "Network", "Log"] {
            tab.call(&format!("{domain}.enable"), json!({})).await;
        }
        let tree = tab.call("Page.getFrameTree", json!({})).await;
        let frame = tree["frameTree"]["frame"]["id"].as_str();
        tab.frame = frame.expect("a frame").to_owned();
        tab
    }

    /// Carries out a command of the protocol.
    pub async fn call(&self, method: &str, params: Value) -> Value {
        self.wire.call(Some(&self.session), method, params).await
    }

    /// Opens a path of the server and waits until it is there.
    pub async fn open(&self, path: &str) {
        self.loads(async || {
            let url = format!("{}{path}", self.server);
            let answer = self.call("Page.navigate", json!({"url": url})).await;
            assert_eq!(answer["errorText"], Value::Null, "{path}: {answer}");
        })
        .await;
    }

    /// Opens a path whose answer is an error page with this status.
    pub async fn open_refused(&self, path: &str, status: u16) {
        self.expects(status);
        self.open(path).await;
        assert_eq!(self.status(), status, "{path}");
    }

    /// The next page is answered with this status, on purpose.
    pub fn expects(&self, status: u16) {
        self.watching(|watch| watch.expects(status));
    }

    /// Does something that leads to another page, and waits until that is there.
    pub async fn loads(&self, action: impl AsyncFnOnce()) {
        let before = self.watching(|watch| watch.loads);
        action().await;
        self.until("the next page is there", async || {
            self.watching(|watch| watch.loads) > before
        })
        .await;
    }

    /// Waits until a condition holds.
    pub async fn until(&self, what: &str, mut holds: impl AsyncFnMut() -> bool) {
        let give_up = Instant::now() + PATIENCE;
        while !holds().await {
            if Instant::now() > give_up {
                panic!(
                    "never came true: {what}; at {}:\n{}",
                    self.path().await,
                    self.text().await
                );
            }
            tokio::time::sleep(A_MOMENT).await;
        }
    }

    /// What an expression is in the page. A page that is just being left has no answer, the next one has.
    pub async fn evaluate(&self, expression: &str) -> Value {
        let asked = json!({"expression": expression, "returnByValue": true, "awaitPromise": true});
        let give_up = Instant::now() + PATIENCE;
        loop {
            let answer = self
                .wire
                .try_call(Some(&self.session), "Runtime.evaluate", asked.clone())
                .await;
            match answer {
                Ok(answer) => {
                    let thrown = &answer["exceptionDetails"];
                    assert_eq!(*thrown, Value::Null, "{expression}");
                    return answer["result"]["value"].clone();
                }
                Err(why) => assert!(Instant::now() < give_up, "{expression}: {why}"),
            }
            tokio::time::sleep(A_MOMENT).await;
        }
    }

    /// The same in a world of the test's own, which the page's content security policy does not reach. `library`
    /// is brought there first, unless the page has it: then `present` is true.
    pub async fn evaluate_apart(&self, library: &str, present: &str, expression: &str) -> Value {
        let world = json!({"frameId": self.frame, "worldName": "test"});
        let world = self.call("Page.createIsolatedWorld", world).await;
        let apart = async |source: &str| {
            let asked = json!({
                "expression": source, "contextId": world["executionContextId"],
                "returnByValue": true, "awaitPromise": true,
            });
            let answer = self.call("Runtime.evaluate", asked).await;
            assert_eq!(answer["exceptionDetails"], Value::Null);
            answer["result"]["value"].clone()
        };
        if apart(present).await != true {
            apart(library).await;
        }
        apart(expression).await
    }

    /// What a person can read on the page.
    pub async fn text(&self) -> String {
        // A page that is only beginning has no body.
        let text = self.evaluate("document.body?.innerText ?? ''").await;
        // Amounts and their currencies are held together.
        text.as_str().unwrap_or_default().replace('\u{a0}', " ")
    }

    /// Waits until the page says this.
    pub async fn says(&self, words: &str) {
        self.until(&format!("the page says {words:?}"), async || {
            self.text().await.contains(words)
        })
        .await;
    }

    /// Where the tab is, without the server: the path and the query.
    pub async fn path(&self) -> String {
        let path = self.evaluate("location.pathname + location.search").await;
        path.as_str().unwrap_or_default().to_owned()
    }

    /// The status of the page that was loaded last.
    pub fn status(&self) -> u16 {
        self.watching(|watch| watch.status)
    }

    /// Whether something can be seen: a `link`, `button`, `field` or `text` by its words, or `css:` and a selector.
    pub async fn has(&self, kind: &str, name: Option<&str>) -> bool {
        self.evaluate(&format!("{} !== null", found(kind, name)))
            .await
            == true
    }

    /// Presses the mouse on something.
    pub async fn click(&self, kind: &str, name: &str) {
        self.click_often(kind, name, 1).await;
    }

    /// Presses the mouse on the first element a selector finds.
    pub async fn click_first(&self, selector: &str) {
        self.press_at(&format!("css:{selector}"), None, 1).await;
    }

    /// Presses the mouse on something several times in a row, as quickly as it goes.
    pub async fn click_often(&self, kind: &str, name: &str, times: u32) {
        self.press_at(kind, Some(name), times).await;
    }

    async fn press_at(&self, kind: &str, name: Option<&str>, times: u32) {
        let what = format!("a {kind} {}", name.unwrap_or_default());
        self.until(&format!("there is {what}"), async || {
            self.has(kind, name).await
        })
        .await;
        let middle = format!(
            "(() => {{ const it = {}; it.scrollIntoView({{block: 'center', behavior: 'instant'}}); \
             const box = it.getClientRects()[0]; const x = box.x + box.width / 2, y = box.y + box.height / 2; \
             const top = document.elementFromPoint(x, y); \
             return {{x, y, free: top !== null && (it.contains(top) || top.contains(it))}}; }})()",
            found(kind, name)
        );
        let at = self.evaluate(&middle).await;
        assert_eq!(at["free"], true, "something lies over {what}");
        for count in 1..=times {
            for kind in ["mousePressed", "mouseReleased"] {
                let event = json!({
                    "type": kind, "x": at["x"], "y": at["y"], "button": "left", "clickCount": count,
                });
                self.call("Input.dispatchMouseEvent", event).await;
            }
        }
    }

    /// Fills a field, called by its label, with a text; a choice is made by its words.
    pub async fn fill(&self, label: &str, text: &str) {
        self.until(&format!("there is a field {label}"), async || {
            self.has("field", Some(label)).await
        })
        .await;
        let chosen = format!(
            "(() => {{ const it = {}; it.focus(); if (it.select) it.select(); if (it.tagName !== 'SELECT') return false; \
             const option = [...it.options].find(o => o.textContent.trim() === {}); it.value = option.value; \
             it.dispatchEvent(new Event('change', {{bubbles: true}})); return true; }})()",
            found("field", Some(label)),
            json!(text)
        );
        if self.evaluate(&chosen).await != true {
            self.call("Input.insertText", json!({"text": text})).await;
        }
    }

    /// Presses keys one after the other: single characters, `Enter`, `Escape`, `Tab` and the arrows.
    pub async fn press(&self, keys: &[&str]) {
        for key in keys {
            let (code, number, text) = match *key {
                "Enter" => ("Enter".to_owned(), 13, Some("\r")),
                "Escape" => ("Escape".to_owned(), 27, None),
                "Tab" => ("Tab".to_owned(), 9, None),
                "ArrowDown" => ("ArrowDown".to_owned(), 40, None),
                "ArrowUp" => ("ArrowUp".to_owned(), 38, None),
                one => (
                    one.to_owned(),
                    i64::from(one.to_uppercase().as_bytes()[0]),
                    Some(one),
                ),
            };
            let mut event = json!({"type": "keyDown", "key": key, "code": code, "windowsVirtualKeyCode": number});
            if let Some(text) = text {
                event["text"] = json!(text);
            }
            self.call("Input.dispatchKeyEvent", event.clone()).await;
            event["type"] = json!("keyUp");
            self.call("Input.dispatchKeyEvent", event).await;
        }
    }

    /// Lets pages run scripts or not, from the next one on.
    pub async fn scripts(&self, run: bool) {
        self.call(
            "Emulation.setScriptExecutionDisabled",
            json!({"value": !run}),
        )
        .await;
    }

    /// The person in front of it lives here.
    pub async fn lives_in(&self, zone: &str, locale: &str) {
        self.call("Emulation.setTimezoneOverride", json!({"timezoneId": zone}))
            .await;
        self.call("Emulation.setLocaleOverride", json!({"locale": locale}))
            .await;
    }

    /// The content of the file a click downloads.
    pub async fn downloads(&self, browser: &Browser, action: impl AsyncFnOnce()) -> String {
        let before = self.watching(|watch| watch.downloads.len());
        action().await;
        self.until("the file is there", async || {
            self.watching(|watch| watch.downloads.len()) > before
        })
        .await;
        let name = self.watching(|watch| watch.downloads[before].clone());
        std::fs::read_to_string(browser.folder().join(name)).expect("the file")
    }

    /// How many forms were sent to addresses that end so.
    pub fn posts(&self, end: &str) -> usize {
        let ends = |url: &&String| {
            url.split('?')
                .next()
                .is_some_and(|path| path.ends_with(end))
        };
        self.watching(|watch| watch.posts.iter().filter(ends).count())
    }

    /// Insists that the page complained of nothing and asked only its server.
    #[track_caller]
    pub fn is_calm(&self) {
        let complaints = self.watching(|watch| std::mem::take(&mut watch.complaints));
        assert!(
            complaints.is_empty(),
            "the page complains:\n{}",
            complaints.join("\n")
        );
    }

    /// What the page has complained of by now.
    pub fn complaints(&self) -> Vec<String> {
        self.watching(|watch| watch.complaints.clone())
    }

    /// What the page has complained of is no matter.
    pub fn forgive(&self) {
        self.watching(|watch| watch.complaints.clear());
    }

    fn watching<T>(&self, read: impl FnOnce(&mut Watch) -> T) -> T {
        read(&mut self.watch.lock().expect("not poisoned"))
    }
}

impl Drop for Tab {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.is_calm();
        }
    }
}

fn found(kind: &str, name: Option<&str>) -> String {
    format!("({FIND})({}, {})", json!(kind), json!(name))
}
