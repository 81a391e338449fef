//! What a tab has seen: pages that came, files that were downloaded, and everything a test must hear of.

use serde_json::Value;

/// Everything one tab was told of.
pub struct Watch {
    server: String,
    expected: Option<u16>,
    /// How many pages have loaded.
    pub loads: usize,
    /// The status of the last page.
    pub status: u16,
    /// Where forms were sent to.
    pub posts: Vec<String>,
    /// The names of the files that have arrived.
    pub downloads: Vec<String>,
    /// What must not be: errors, warnings, and requests that went elsewhere.
    pub complaints: Vec<String>,
}

impl Watch {
    /// Of pages of one server.
    pub fn of(server: &str) -> Watch {
        Watch {
            server: format!("{server}/"),
            expected: None,
            loads: 0,
            status: 0,
            posts: Vec::new(),
            downloads: Vec::new(),
            complaints: Vec::new(),
        }
    }

    /// The next page is an error page: the browser's word about its status is no complaint.
    pub fn expects(&mut self, status: u16) {
        self.expected = Some(status);
    }

    /// An event of the browser.
    pub fn sees(&mut self, method: &str, params: &Value) {
        match method {
            "Page.loadEventFired" => self.loads += 1,
            "Network.requestWillBeSent" => self.requested(params),
            "Network.responseReceived" if params["type"] == "Document" => {
                let status = params["response"]["status"].as_u64();
                self.status = status
                    .and_then(|status| status.try_into().ok())
                    .unwrap_or(0);
            }
            "Runtime.exceptionThrown" => {
                let details = &params["exceptionDetails"];
                self.complaints.push(format!(
                    "exception: {} {}",
                    details["text"], details["exception"]["description"]
                ));
            }
            "Runtime.consoleAPICalled" if is_loud(&params["type"]) => {
                self.complaints.push(format!("console: {}", params["args"]));
            }
            "Log.entryAdded" => self.logged(&params["entry"]),
            "Browser.downloadProgress" if params["state"] == "completed" => {
                self.downloads.push(text(&params["guid"]).to_owned());
            }
            _ => {}
        }
    }

    fn requested(&mut self, params: &Value) {
        let url = text(&params["request"]["url"]);
        if params["request"]["method"] == "POST" {
            self.posts.push(url.to_owned());
        }
        let ours =
            url.starts_with(&self.server) || url.starts_with("data:") || url.starts_with("about:");
        if !ours {
            self.complaints
                .push(format!("a request to another host: {url}"));
        }
    }

    fn logged(&mut self, entry: &Value) {
        if !is_loud(&entry["level"]) {
            return;
        }
        let words = text(&entry["text"]);
        if let Some(status) = self.expected
            && words.contains(&format!("status of {status}"))
        {
            self.expected = None;
            return;
        }
        self.complaints.push(format!(
            "{}: {words} {}",
            text(&entry["source"]),
            text(&entry["url"])
        ));
    }
}

fn is_loud(level: &Value) -> bool {
    matches!(level.as_str(), Some("error" | "warning" | "assert"))
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
