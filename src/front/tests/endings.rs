//! Ends: a client's, and the server's.

use super::*;

const WORK: &str = "POST /work HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n";

async fn begin_work(running: &Running) -> Client {
    let mut client = running.connect().await;
    client.send(WORK).await;
    eventually("it works", || running.work.begun.load(Ordering::SeqCst) > 0).await;
    client
}

#[rocket::async_test]
async fn what_was_begun_ends_though_its_client_went_away() {
    let running = Running::usual().await;
    drop(begin_work(&running).await);
    let connections = &running.front.shared.connections;
    eventually("the connection ended", || connections.is_empty()).await;
    assert!(!running.front.shared.requests.is_empty());
    running.work.may_end.add_permits(1);
    eventually("it ended", || running.work.ended.load(Ordering::SeqCst)).await;
    running.front.quiet().await;
}

#[rocket::async_test]
async fn what_came_in_part_is_never_begun() {
    let running = Running::usual().await;
    let mut client = running.connect().await;
    client
        .send("POST /work HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n12345678")
        .await;
    drop(client);
    let connections = &running.front.shared.connections;
    eventually("the connection ended", || connections.is_empty()).await;
    assert_eq!(running.work.begun.load(Ordering::SeqCst), 0);
}

#[rocket::async_test]
async fn a_server_that_stops_answers_what_is_asked_and_closes_the_rest() {
    let running = Running::usual().await;
    let mut working = begin_work(&running).await;
    let mut idle = running.connect().await;
    idle.send("GET /v1/orders/1 HTTP/1.1\r\nHost: x\r\n\r\n")
        .await;
    idle.until("\r\n\r\n1").await;
    let mut silent = running.connect().await;
    let mut half = running.connect().await;
    half.send("GET /v1/or").await;
    let (address, work) = (running.front.address(), running.work);
    let stopping = tokio::spawn(running.front.stopped());
    for client in [&mut idle, &mut silent, &mut half] {
        assert_eq!(client.rest().await, "");
    }
    assert!(TcpStream::connect(address).await.is_err());
    assert!(!stopping.is_finished());
    work.may_end.add_permits(1);
    let answer = working.rest().await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(answer.ends_with("done"), "{answer}");
    assert!(stopping.await.unwrap());
}

#[rocket::async_test]
async fn the_grace_period_ends() {
    let running = Running::usual().await;
    let mut working = begin_work(&running).await;
    let begun = Instant::now();
    assert!(!running.front.stopped().await);
    assert!(begun.elapsed() >= Duration::from_secs(2));
    assert_eq!(working.rest().await, "");
    assert!(!running.work.ended.load(Ordering::SeqCst));
}

#[rocket::async_test]
async fn an_address_that_is_taken_is_told() {
    let running = Running::usual().await;
    let port = running.front.address().port();
    let figment = rocket::Config::figment()
        .merge(("port", port))
        .merge(("address", "127.0.0.1"))
        .merge(("log_level", "off"));
    let again = Front::start(rocket::custom(figment), Limits::with_connections(4), None).await;
    let told = matches!(&again, Err(FrontError::Bind(address, _)) if address.port() == port);
    assert!(told);
}
