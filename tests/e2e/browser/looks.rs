//! How a page looks: at a width, in light or dark, held against WCAG 2.1 AA by axe, and kept as a picture when
//! `TILL_TEST_SCREENSHOTS` names a folder.

use std::path::PathBuf;

use base64::Engine as _;
use serde_json::{Value, json};

use super::tab::Tab;

const AXE: &str = include_str!("axe.min.js");

/// What axe is asked for, and what of its answer a person needs to mend it.
const RUN: &str = "axe.run(document, { \
     runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa'], resultTypes: ['violations'] \
     }).then(found => found.violations.flatMap(rule => rule.nodes.map(node => \
     rule.id + ': ' + node.html + '\\n  ' + node.failureSummary.replace(/\\s+/g, ' '))))";

/// What reaches past the right edge, outermost first. What scrolls in a box of its own does not.
const TOO_WIDE: &str = "(() => { const root = document.scrollingElement; \
     if (root.scrollWidth <= root.clientWidth) return []; \
     return [...document.querySelectorAll('body *')] \
     .filter(it => it.getBoundingClientRect().right > root.clientWidth + 0.5) \
     .slice(0, 6).map(it => it.outerHTML.slice(0, 120)); })()";

/// The widths: a phone, a small window, a wide screen.
pub const WIDTHS: [u32; 3] = [375, 900, 1600];

/// What the person has chosen.
#[derive(Clone, Copy)]
pub enum Scheme {
    /// Dark on light.
    Light,
    /// Light on dark.
    Dark,
}

impl Scheme {
    fn name(self) -> &'static str {
        match self {
            Scheme::Light => "light",
            Scheme::Dark => "dark",
        }
    }
}

impl Tab {
    /// Makes the window as wide as this.
    pub async fn is_wide(&self, width: u32) {
        let height = if width < 600 { 812 } else { 900 };
        let metrics = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600});
        self.call("Emulation.setDeviceMetricsOverride", metrics)
            .await;
    }

    /// Chooses light or dark.
    pub async fn is_shown_in(&self, scheme: Scheme) {
        let feature = json!({"name": "prefers-color-scheme", "value": scheme.name()});
        self.call("Emulation.setEmulatedMedia", json!({"features": [feature]}))
            .await;
    }

    /// Looks at the page at every width, in light and in dark: nothing sticks out sideways, axe finds nothing,
    /// and the page complained of nothing.
    pub async fn looks_right(&self, name: &str) {
        for scheme in [Scheme::Light, Scheme::Dark] {
            self.is_shown_in(scheme).await;
            for width in WIDTHS {
                self.is_wide(width).await;
                let shown = format!("{name}-{width}-{}", scheme.name());
                self.keep_picture(&shown).await;
                let wide = self.sticks_out().await;
                assert!(wide.is_empty(), "{shown} scrolls sideways: {wide}");
                // The widths differ in layout, the schemes in colours only: one width tells of those.
                if matches!(scheme, Scheme::Light) || width == WIDTHS[1] {
                    let found = self.axe_finds().await.join("\n");
                    assert!(found.is_empty(), "{shown}: axe finds\n{found}");
                }
            }
        }
        self.is_calm();
    }

    /// What reaches past the right edge of the page; empty when it does not scroll sideways.
    pub async fn sticks_out(&self) -> String {
        let wide = self.evaluate(TOO_WIDE).await;
        let wide = wide.as_array().expect("a list");
        wide.iter()
            .filter_map(Value::as_str)
            .collect::<Vec<_>>()
            .join("\n")
    }

    /// What axe finds against WCAG 2.1 AA.
    pub async fn axe_finds(&self) -> Vec<String> {
        let Value::Array(found) = self
            .evaluate_apart(AXE, "typeof axe !== 'undefined'", RUN)
            .await
        else {
            panic!("axe has no answer");
        };
        found
            .iter()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect()
    }

    /// Keeps a picture of the whole page, if anybody wants one.
    async fn keep_picture(&self, name: &str) {
        let Some(folder) = std::env::var_os("TILL_TEST_SCREENSHOTS").map(PathBuf::from) else {
            return;
        };
        std::fs::create_dir_all(&folder).expect("a folder");
        let picture = json!({"format": "png", "captureBeyondViewport": true});
        let metrics = self.call("Page.getLayoutMetrics", json!({})).await;
        let mut picture = picture;
        let size = &metrics["cssContentSize"];
        picture["clip"] =
            json!({"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1});
        let taken = self.call("Page.captureScreenshot", picture).await;
        let bytes = base64::engine::general_purpose::STANDARD
            .decode(taken["data"].as_str().expect("a picture"));
        std::fs::write(folder.join(format!("{name}.png")), bytes.expect("base64"))
            .expect("the picture is kept");
    }
}
