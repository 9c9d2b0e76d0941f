use actix_web::test::TestRequest;
use proptest::prelude::*;
use uuid::Uuid;

use super::*;

const ADA: UserId = UserId::new(Uuid::from_u128(1));
const EVE: UserId = UserId::new(Uuid::from_u128(2));

fn key() -> CursorKey {
    CursorKey::new(&SecretString::from("a secret that all replicas share"))
}

fn list(path: &str, query: &str, viewer: UserId) -> List {
    List::new(&key(), path, query, viewer).unwrap()
}

fn orders() -> List {
    list("/orders", "", ADA)
}

fn is_refused(list: &List, cursor: &str) -> bool {
    match list.position::<i32>(Some(cursor)) {
        Ok(_) => false,
        Err(problem) => problem.code() == Code::InvalidCursor,
    }
}

proptest! {
    #[test]
    fn no_text_makes_it_panic_or_is_a_cursor(text in "[A-Za-z0-9_=-]{0,80}|.{0,80}") {
        prop_assert!(is_refused(&orders(), &text));
    }

    #[test]
    fn a_cursor_that_was_touched_anywhere_is_refused(position: i32, place: prop::sample::Index, bit in 0_u8..8) {
        let cursor = orders().after(&position).unwrap();
        let mut bytes = URL_SAFE_NO_PAD.decode(&cursor).unwrap();
        let place = place.index(bytes.len());
        bytes[place] ^= 1 << bit;
        prop_assert!(is_refused(&orders(), &URL_SAFE_NO_PAD.encode(bytes)));
    }
}

#[test]
fn a_cursor_comes_back_as_it_was_in_any_replica() {
    let cursor = orders().after(&(17, "x")).unwrap();
    let position = orders().position::<(i32, String)>(Some(&cursor)).unwrap();
    assert_eq!(position, Some((17, "x".to_owned())));
    assert_eq!(orders().position::<(i32, String)>(None).unwrap(), None);
}

#[test]
fn a_cursor_without_end_is_not_even_decoded() {
    assert!(is_refused(&orders(), &"A".repeat(CURSOR_LENGTH_MAX + 1)));
}

#[test]
fn a_forged_cursor_is_400() {
    let unsigned = URL_SAFE_NO_PAD.encode("17");
    let zeros = URL_SAFE_NO_PAD.encode([&[0; SIGNATURE_LENGTH][..], b"17"].concat());
    for text in ["", "!!", "AAAA", "e30", &unsigned, &zeros] {
        assert!(is_refused(&orders(), text), "{text}");
    }
}

#[test]
fn a_cursor_leads_on_in_its_own_list_only() {
    let pending = list("/orders", "status=pending&limit=2", ADA);
    let cursor = pending.after(&17).unwrap();
    for other in [
        list("/payments", "status=pending", ADA),
        list("/orders/1", "status=pending", ADA),
        list("/orders", "", ADA),
        list("/orders", "status=confirmed", ADA),
        list("/orders", "status=pending&status=pending", ADA),
        list("/orders", "status=pending", EVE),
        List::new(
            &CursorKey::new(&SecretString::from("another secret")),
            "/orders",
            "status=pending",
            ADA,
        )
        .unwrap(),
        List::new(
            &CursorKey::new(&SecretString::default()),
            "/orders",
            "status=pending",
            ADA,
        )
        .unwrap(),
    ] {
        assert!(is_refused(&other, &cursor));
    }
}

#[test]
fn how_a_filter_is_written_and_how_much_is_asked_for_make_no_other_list() {
    let cursor = list("/orders", "a=1&b=x%20y&limit=2", ADA).after(&17).unwrap();
    for same in ["b=x+y&a=1", "limit=50&b=x%20y&cursor=old&a=%31"] {
        let position = list("/orders", same, ADA).position::<i32>(Some(&cursor));
        assert_eq!(position.unwrap(), Some(17), "{same}");
    }
}

#[test]
fn only_a_full_page_with_more_behind_it_has_a_next() {
    let page = orders().page(vec![1, 2, 3], 2, |last| *last).unwrap();
    assert_eq!(page.items, [1, 2]);
    let next = orders().position::<i32>(page.next_cursor.as_deref()).unwrap();
    assert_eq!(next, Some(2));
    let whole = orders().page(vec![1, 2], 2, |last| *last).unwrap();
    assert_eq!(whole.next_cursor, None);
    let empty = orders().page(Vec::<i32>::new(), 2, |last| *last).unwrap();
    assert_eq!(empty.next_cursor, None);
}

#[test]
fn a_request_is_a_list_where_there_is_a_key() {
    let request = || TestRequest::get().uri("/orders?status=pending");
    let inside = request().app_data(key()).to_http_request();
    let cursor = List::of(&inside, ADA).unwrap().after(&17).unwrap();
    let position = list("/orders", "status=pending", ADA).position::<i32>(Some(&cursor));
    assert_eq!(position.unwrap(), Some(17));
    let outside = List::of(&request().to_http_request(), ADA);
    assert_eq!(outside.err().unwrap().code(), Code::Internal);
}

#[test]
fn the_link_keeps_the_other_parameters() {
    let link = next_link("/orders", "status=pending&cursor=old&limit=2", "new");
    assert_eq!(link, "</orders?status=pending&limit=2&cursor=new>; rel=\"next\"");
}
