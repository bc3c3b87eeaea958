use super::*;

fn named(name: &str, value: u64) -> Value {
    json!({"metadata": {"namespace": "n", "name": name}, "value": value})
}

fn values(objects: &[Object]) -> Vec<u64> {
    objects.iter().filter_map(|object| object["value"].as_u64()).collect()
}

#[test]
fn an_old_list_is_rebuilt_from_the_history() {
    let (store, things) = (Store::default(), Resource::new("test", "things"));
    let writer = store.write();
    writer.put(&things, named("a", 1));
    writer.put(&things, named("b", 2));
    let then = store.revision();
    writer.put(&things, named("a", 3));
    writer.remove(&things, &("n".to_owned(), "b".to_owned()));
    writer.put(&things, named("c", 4));
    assert_eq!(values(&store.list(&things, Some("n")).0), [3, 4]);
    assert_eq!(values(&store.list_at(&things, Some("n"), then).unwrap()), [1, 2]);
    store.compact();
    assert_eq!(store.list_at(&things, None, then), Err(Expired { oldest: store.revision() }));
}

#[tokio::test]
async fn a_watch_sees_each_change_once_and_in_order() {
    let (store, things) = (Store::default(), Resource::new("test", "things"));
    store.write().put(&things, named("a", 1));
    let mut events = store.watch(Some(&things), store.revision()).unwrap();
    let writing = tokio::spawn({
        let (store, things) = (store.clone(), things.clone());
        async move {
            for value in 0..500 {
                store.write().put(&things, named("a", value));
                if value % 50 == 0 {
                    tokio::task::yield_now().await;
                }
            }
        }
    });
    for value in 0..500 {
        let Next::Event(event) = events.next().await else { panic!("the watch ended at {value}") };
        assert_eq!(event.shown["value"], value);
    }
    writing.await.unwrap();
    store.write().remove(&things, &("n".to_owned(), "a".to_owned()));
    let Next::Event(event) = events.next().await else { panic!("the watch ended") };
    assert!(event.current.is_none());
    assert_eq!(event.shown["metadata"]["resourceVersion"], event.revision.to_string());
    store.close();
    assert!(matches!(events.next().await, Next::Closed));
}

#[tokio::test]
async fn a_slow_watch_expires() {
    let (store, things) = (Store::default(), Resource::new("test", "things"));
    let mut events = store.watch(Some(&things), store.revision()).unwrap();
    for value in 0..=HISTORY as u64 {
        store.write().put(&things, named("a", value));
    }
    assert!(matches!(events.next().await, Next::Expired(_)));
}
