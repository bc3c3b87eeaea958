use super::*;

fn caller(folder: &Path) -> (Caller, Arc<Mutex<Vec<Told>>>) {
    let told = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&told);
    let tell: Tell = Arc::new(move |what| heard.lock().push(what));
    (Caller::new(&folder.join("calls.log"), Some(&folder.join("home")), tell).unwrap(), told)
}

fn shell(script: &str) -> Call {
    Call::new("sh -c").arg(script)
}

#[tokio::test]
async fn a_call_is_told_and_logged_with_what_it_said() {
    let folder = tempfile::tempdir().unwrap();
    let (caller, told) = caller(folder.path());
    let said = caller.call(shell("echo out; printf '\\033[31mbad\\033[0m\\n' >&2; exit 3")).await.unwrap();
    assert_eq!((said.code, said.stdout.as_str(), said.stderr.as_str()), (Some(3), "out\n", "bad\n"));
    let failure = said.ok().unwrap_err();
    assert!(failure.contains("exit code 3") && failure.contains("  bad"), "{failure}");
    let log = std::fs::read_to_string(folder.path().join("calls.log")).unwrap();
    assert!(log.contains("$ sh -c ") && log.contains("  out\n  ! bad\n"), "{log}");
    assert!(matches!(&told.lock()[..], [Told::Call { code: Some(3), .. }]), "{told:?}");
}

#[tokio::test]
async fn it_gets_no_input_and_another_home() {
    let folder = tempfile::tempdir().unwrap();
    let (caller, _) = caller(folder.path());
    let said = caller.call(shell("cat; echo $HOME $KUBECONFIG")).await.unwrap();
    assert_eq!(said.stdout, format!("{}\n", folder.path().join("home").display()));
    let file = folder.path().join("input");
    std::fs::write(&file, "given").unwrap();
    assert_eq!(caller.call(shell("cat").input(&file)).await.unwrap().stdout, "given");
    let said = caller.call(shell("echo $HOME").at_home()).await.unwrap();
    assert_eq!(said.stdout.trim(), std::env::var("HOME").unwrap_or_default());
}

#[tokio::test]
async fn what_is_not_there_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let (caller, _) = caller(folder.path());
    let error = caller.call(Call::new("no-such-program at all")).await.unwrap_err();
    assert_eq!(error, "no-such-program is not found in PATH");
}

#[tokio::test]
async fn out_of_time_it_ends_with_all_that_it_started() {
    let folder = tempfile::tempdir().unwrap();
    let (caller, _) = caller(folder.path());
    let script = "sleep 1000 & echo $! > pid; echo begun; wait";
    let call = shell(script).at(folder.path()).within(Duration::from_millis(300));
    let error = caller.call(call).await.unwrap_err();
    assert!(error.contains("did not end within") && error.contains("  begun"), "{error}");
    let pid: i32 = std::fs::read_to_string(folder.path().join("pid")).unwrap().trim().parse().unwrap();
    gone(pid).await;
}

#[tokio::test]
async fn dropped_halfway_it_ends_with_all_that_it_started() {
    let folder = tempfile::tempdir().unwrap();
    let (caller, _) = caller(folder.path());
    let file = folder.path().join("pid");
    let call =
        caller.call(shell("sleep 1000 & echo $! > pid.draft; mv pid.draft pid; wait").at(folder.path()));
    let begun =
        crate::expect::eventually::eventually(Duration::from_secs(20), Duration::from_millis(5), || async {
            std::fs::read_to_string(&file).map_err(|error| error.to_string())
        });
    let pid = tokio::select! {
        said = call => panic!("it ended: {said:?}"),
        pid = begun => pid.unwrap(),
    };
    gone(pid.trim().parse().unwrap()).await;
}

#[tokio::test]
async fn what_lives_on_and_holds_the_output_is_not_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let (caller, _) = caller(folder.path());
    // A group of its own, as a daemon has it.
    let script = "setsid sh -c 'echo $$ > pid.draft; mv pid.draft pid; exec sleep 1000' & \
                  while [ ! -f pid ]; do sleep 0.01; done; echo done";
    let said = caller.call(shell(script).at(folder.path())).await.unwrap();
    assert_eq!(said.stdout, "done\n");
    let pid: i32 = std::fs::read_to_string(folder.path().join("pid")).unwrap().trim().parse().unwrap();
    kill(pid);
}

async fn gone(pid: i32) {
    let ended =
        crate::expect::eventually::eventually(Duration::from_secs(20), Duration::from_millis(5), || async {
            let state = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            // An orphan that nobody has waited for yet has ended all the same.
            if state.is_empty() || state.contains(") Z ") {
                Ok(())
            } else {
                Err(format!("{pid} still runs: {state}"))
            }
        });
    ended.await.unwrap();
}

#[test]
fn escapes_go_and_all_else_stays() {
    assert_eq!(plain("\x1b[36mINFO\x1b[0m[0000] ✓ a[1]m\n"), "INFO[0000] ✓ a[1]m\n");
    assert_eq!(plain("\x1b[31"), "");
}

#[test]
fn a_line_can_be_typed_again() {
    let call = Call::new("docker import")
        .arg("--change")
        .arg("USER 65532:65532")
        .arg("it's")
        .input(Path::new("/a b"));
    assert_eq!(call.line(), r"docker import --change 'USER 65532:65532' 'it'\''s' < '/a b'");
}
