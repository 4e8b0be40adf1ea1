//! The day view in a real browser. Its pictures are in `day-view` below cargo's directory for tests' files (`target/tmp`);
//! the README's is `day.png`.

mod agenda;
mod browser;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use agenda::{Agenda, DATE};
use browser::Browser;

use crate::admin::operator_token;
use crate::support::{Mode, TestDir, in_both_modes};

in_both_modes!(
    a_manager_signs_in_sees_bookings_come_and_go_and_signs_out,
    the_day_is_read_by_keyboard_alone_and_on_a_narrow_screen,
    a_page_whose_session_ends_leads_to_the_login,
);

/// Milliseconds, in fact; but the machine may be busy with other tests.
const SOON: Duration = Duration::from_secs(5);

async fn a_manager_signs_in_sees_bookings_come_and_go_and_signs_out(mode: Mode) {
    let dir = TestDir::new();
    let server = mode.start(dir.path());
    server.ready().await;
    let salon = server.salon(dir.path()).await;
    let manager = server.member_of(&salon, dir.path(), "manager").await;
    let agenda = Agenda::of(&server, &manager).await;
    agenda.fill().await;
    let mut browser = Browser::launch(&dir.path().join("profile")).await;
    browser.resize(1200, 800).await;

    browser.open(&format!("{}/admin", server.url)).await;
    assert_eq!(browser.eval("location.pathname").await, "/admin/login");
    sign_in(&mut browser, "no.such.token").await;
    browser.until("document.querySelector('[role=alert]')?.textContent.startsWith('The token is not valid')").await;
    browser.screenshot(&picture("login")).await;
    // That page's own status is what the browser complains of.
    assert!(browser.complaints().iter().all(|complaint| complaint.to_string().contains("401")));
    sign_in(&mut browser, &manager.token).await;
    browser.until("location.pathname === '/admin' && document.querySelector('#state.live') !== null").await;

    browser.open(&format!("{}/admin?date={DATE}", server.url)).await;
    let columns = browser.eval("[...document.querySelectorAll('h2')].map((head) => head.innerText)").await;
    assert_eq!(columns, json!(["Elias 5", "Lea 5", "Mia 5", "Noah 5"]));
    let first = browser.eval("document.querySelector('li').innerText.split(/\\s+/).join(' ')").await;
    assert_eq!(first, "09:00–09:45 Haarschnitt completed");
    browser.until("document.querySelector('#state.live') !== null").await;
    browser.screenshot(&picture("day")).await;

    follow_a_booking(&mut browser, &agenda, mode).await;
    browser.screenshot(&picture("live")).await;

    tab_to(&mut browser, "header form[method=post] button").await;
    browser.press("Enter").await;
    browser.until("location.pathname === '/admin/login'").await;
    browser.open(&format!("{}/admin", server.url)).await;
    assert_eq!(browser.eval("location.pathname").await, "/admin/login");
    assert_eq!(browser.complaints(), Vec::<Value>::new());
    // The browser's own pictures, such as a date's calendar, are data.
    let is_here = |address: &&str| address.starts_with(&server.url) || address.starts_with("data:");
    let elsewhere: Vec<&str> = browser.requests().filter(|address| !is_here(address)).collect();
    assert_eq!(elsewhere, Vec::<&str>::new());
    browser.close().await;
}

/// Without loading the page again.
async fn follow_a_booking(browser: &mut Browser, agenda: &Agenda<'_>, mode: Mode) {
    let feed = "Number(document.querySelector('#position').value)";
    let before = browser.eval(feed).await;
    let watch = "window.beats = 0; new MutationObserver(() => window.beats++)
        .observe(document.querySelector('#age'), { childList: true })";
    browser.eval(&format!("{watch}, null")).await;

    let id = agenda.book("Lea", "17:15", "Bartpflege").await;
    let column = "closest('section').querySelector('h2').innerText";
    seen_soon(browser, &id, &format!("block.innerText.startsWith('17:15–17:45') && block.{column} === 'Lea 6'")).await;
    agenda.reschedule(&id, "17:00", "Bartpflege").await;
    seen_soon(browser, &id, "block.innerText.startsWith('17:00–17:30')").await;
    agenda.change(&id, "cancel", json!({})).await;
    seen_soon(browser, &id, "block.className.startsWith('cancelled') && block.innerText.includes('cancelled')").await;

    if mode == Mode::Scale {
        browser.until(&format!("{feed} >= {before} + 3")).await;
    }
    browser.until("window.beats >= 2").await;
    browser.until("/^[0-9]+\\.[0-9] s$/.test(document.querySelector('#age').value)").await;
}

async fn seen_soon(browser: &mut Browser, id: &str, seen: &str) {
    let began = Instant::now();
    browser.until(&format!("((block) => block !== null && {seen})(document.getElementById('booking-{id}'))")).await;
    assert!(began.elapsed() < SOON, "it took {:?} until {seen}", began.elapsed());
}

async fn the_day_is_read_by_keyboard_alone_and_on_a_narrow_screen(mode: Mode) {
    let dir = TestDir::new();
    let server = mode.start(dir.path());
    server.ready().await;
    let salon = server.salon(dir.path()).await;
    let manager = server.member_of(&salon, dir.path(), "manager").await;
    Agenda::of(&server, &manager).await.fill().await;
    let mut browser = Browser::launch(&dir.path().join("profile")).await;
    browser.resize(360, 740).await;
    browser.open(&format!("{}/admin/login", server.url)).await;
    fits(&mut browser).await;
    browser.screenshot(&picture("login-narrow")).await;
    sign_in(&mut browser, &manager.token).await;
    browser.until("location.pathname === '/admin'").await;

    browser.open(&format!("{}/admin?date={DATE}", server.url)).await;
    fits(&mut browser).await;
    let cut_off = "[...document.querySelectorAll('li')].filter((block) => {
        const [whole, name] = [block, block.querySelector('b')].map((part) => part.getBoundingClientRect());
        return name.bottom > whole.bottom || name.right > whole.right;
    }).map((block) => block.innerText)";
    assert_eq!(browser.eval(cut_off).await, json!([]));
    let sizes = "[...document.querySelectorAll('li, h2, time, header *')]
        .map((part) => parseFloat(getComputedStyle(part).fontSize))";
    assert!(browser.eval(&format!("Math.min(...{sizes})")).await.as_f64().unwrap() >= 12.0);
    browser.screenshot(&picture("narrow")).await;

    browser.resize(1200, 800).await;
    every_control_shows_its_focus(&mut browser).await;
    tab_to(&mut browser, "li").await;
    browser.screenshot(&picture("focus")).await;
    tab_to(&mut browser, "#next").await;
    browser.press("Enter").await;
    browser.until("location.search === '?date=2031-06-03'").await;
    browser.until("document.querySelector('#state.live') !== null").await;
    browser.press("ArrowRight").await;
    browser.until("location.search === '?date=2031-06-04'").await;
    let under_head = "document.querySelector('h2').getBoundingClientRect().bottom";
    let eight = "document.querySelectorAll('.axis time')[8].getBoundingClientRect().top";
    browser.until(&format!("{eight} >= {under_head} && {eight} < {under_head} + 40")).await;
    browser.screenshot(&picture("empty")).await;
    let dark = json!({ "features": [{ "name": "prefers-color-scheme", "value": "dark" }] });
    browser.call("Emulation.setEmulatedMedia", dark).await;
    browser.open(&format!("{}/admin?date={DATE}", server.url)).await;
    browser.screenshot(&picture("dark")).await;
    assert_eq!(browser.complaints(), Vec::<Value>::new());
    browser.close().await;
}

async fn fits(browser: &mut Browser) {
    let widths = "[document.scrollingElement.scrollWidth, innerWidth]";
    let widths = browser.eval(widths).await;
    assert!(widths[0].as_i64().unwrap() <= widths[1].as_i64().unwrap(), "the page is too wide: {widths}");
}

/// Each is reached by Tab, has an outline then, and lies under nothing.
async fn every_control_shows_its_focus(browser: &mut Browser) {
    const CONTROLS: &str = "[...document.querySelectorAll('a[href], button, input, [tabindex]')]";
    let focused = format!(
        "(() => {{
            const control = document.activeElement;
            const {{ outlineStyle, outlineWidth }} = getComputedStyle(control);
            const {{ left, top, width }} = control.getBoundingClientRect();
            const seen = document.elementFromPoint(left + width / 2, top + 3);
            const shows = outlineStyle === 'solid' && parseFloat(outlineWidth) >= 2 && control.contains(seen);
            return [{CONTROLS}.indexOf(control), shows, control.outerHTML.slice(0, 60), outlineStyle, outlineWidth, seen?.outerHTML.slice(0, 60)];
        }})()"
    );
    let count = browser.eval(&format!("{CONTROLS}.length")).await.as_u64().unwrap();
    let mut reached = std::collections::BTreeSet::new();
    // A date has a stop for each of its parts.
    for _ in 0..count + 6 {
        browser.press("Tab").await;
        let focused = browser.eval(&focused).await;
        if let Some(index) = focused[0].as_u64() {
            assert_eq!(focused[1], true, "the focus can't be seen: {focused}");
            reached.insert(index);
        }
    }
    assert_eq!(reached, (0..count).collect());
}

async fn a_page_whose_session_ends_leads_to_the_login(mode: Mode) {
    let dir = TestDir::new();
    let server = mode.start(dir.path());
    server.ready().await;
    let salon = server.salon(dir.path()).await;
    let mut browser = Browser::launch(&dir.path().join("profile")).await;
    // Half a minute after its end a token is still taken: this one is for five seconds more.
    let token = operator_token(dir.path(), &salon, -25);
    let cookie = json!({ "name": "codeccloud_admin", "value": token, "url": format!("{}/admin", server.url) });
    browser.call("Network.setCookie", cookie).await;
    browser.open(&format!("{}/admin", server.url)).await;
    browser.until("document.querySelector('#state.live') !== null").await;
    browser.until("location.pathname === '/admin/login'").await;
    browser.close().await;
}

async fn sign_in(browser: &mut Browser, token: &str) {
    tab_to(browser, "#token").await;
    browser.write(token).await;
    browser.press("Enter").await;
}

async fn tab_to(browser: &mut Browser, selector: &str) {
    let is_there = format!("document.activeElement.matches('{selector}')");
    for _ in 0..100 {
        if browser.eval(&is_there).await == true {
            return;
        }
        browser.press("Tab").await;
    }
    panic!("no number of tabs leads to {selector}");
}

fn picture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("day-view").join(name).with_extension("png")
}
