//! Signing in and out, and who is let in.

use super::console::Console;

#[tokio::test(flavor = "multi_thread")]
async fn people_sign_in_with_their_password_and_out_again() {
    let Some(console) = Console::open().await else {
        return;
    };
    let person = console.person("viewer").await;
    let tab = console.tab().await;
    tab.open(&format!("{}/orders", console.desk)).await;
    assert!(
        tab.path().await.starts_with("/staff/sign-in"),
        "{}",
        tab.path().await
    );

    tab.expects(422);
    tab.fill("E-mail address", &person.email).await;
    tab.fill("Password", "not the password").await;
    tab.loads(async || tab.click("button", "Sign in").await)
        .await;
    tab.says("The e-mail address or the password is wrong.")
        .await;
    let typed = tab
        .evaluate("document.querySelector('[name=email]').value")
        .await;
    assert_eq!(typed, person.email.as_str(), "what was typed stays");

    tab.fill("Password", &person.password).await;
    tab.loads(async || tab.press(&["Enter"]).await).await;
    assert_eq!(
        tab.path().await,
        format!("{}/orders", console.desk),
        "where they wanted to go"
    );
    assert_eq!(
        tab.evaluate("document.cookie").await,
        "",
        "no script reads the session"
    );

    tab.click("button", "You: Ada Byron").await;
    tab.loads(async || tab.click("button", "Sign out").await)
        .await;
    tab.says("You are signed out.").await;
    tab.open("/staff").await;
    assert!(tab.path().await.starts_with("/staff/sign-in"));
}
