// SPDX-License-Identifier: Apache-2.0
//! `pull`, `images`, `rmi`.

use crate::gorae::Gorae;
use gorae_tests::{BUSYBOX, TINY, on_a_node};

#[test]
fn an_image_is_pulled_listed_and_removed() {
    on_a_node(async |node| {
        let gorae = Gorae::of(node);
        let ran = gorae.run(&["pull", TINY]).await;
        assert_eq!(ran.code, 0, "{}", ran.err);
        assert!(ran.err.starts_with("pulling images.gorae.test/gorae/tiny:1\n"), "{}", ran.err);
        let id = ran.out.trim();
        let row = &gorae.json(&["images"]).await[0];
        assert_eq!((&row["repository"], &row["tag"]), (&"images.gorae.test/gorae/tiny".into(), &"1".into()));
        assert_eq!(row["id"], id);
        let table = gorae.ok(&["images"]).await;
        assert!(table.lines().nth(1).is_some_and(|l| l.contains("gorae/tiny") && l.contains(" kB")), "{table}");
        assert_eq!(gorae.ok(&["images", "-q", "--no-trunc"]).await, id);
        let quiet = gorae.run(&["pull", "-q", TINY, BUSYBOX]).await;
        assert_eq!((quiet.code, quiet.err.as_str(), quiet.out.lines().count()), (0, "", 2));
        assert_eq!(gorae.ok(&["rmi", TINY]).await, TINY);
        assert_eq!(gorae.ok(&["images", "-q"]).await.lines().count(), 1);
    });
}

#[test]
fn a_name_of_an_image_with_others_is_taken_off_and_the_image_stays() {
    on_a_node(async |node| {
        let gorae = Gorae::of(node);
        let other = TINY.replace("images.gorae.test", "gcr.io");
        assert_eq!(gorae.ok(&["pull", "-q", TINY]).await, gorae.ok(&["pull", "-q", &other]).await);
        gorae.ok(&["run", "-d", "--name", "user", TINY, "sleep"]).await;
        let id = gorae.ok(&["images", "-q", "--no-trunc"]).await;
        let id = id.lines().next().unwrap();
        let refused = gorae.run(&["rmi", id]).await;
        assert!(refused.code == 1 && refused.err.contains(TINY) && refused.err.contains(&other), "{}", refused.err);
        assert_eq!(gorae.ok(&["rmi", TINY]).await, TINY);
        let left = gorae.json(&["inspect", "--type", "image", &other]).await;
        assert_eq!(left[0]["status"]["repoTags"], serde_json::json!([other]));
        assert!(left[0]["status"]["repoDigests"].to_string().matches('@').count() == 1, "{left}");
        assert!(gorae.run(&["rmi", TINY]).await.err.contains("no such image"));
        assert!(gorae.run(&["rmi", &other]).await.err.contains("used by user"), "its last name is in use");
        gorae.ok(&["rm", "-f", "user"]).await;
        node.kill_and_restart().await;
        assert!(gorae.run(&["rmi", TINY]).await.err.contains("no such image"), "a restart does not bring it back");
        gorae.ok(&["pull", "-q", TINY]).await;
        assert_eq!(gorae.ok(&["rmi", "-f", id]).await, id);
        assert_eq!(gorae.ok(&["images", "-q"]).await, "");
        gorae.leaves_nothing().await;
    });
}

#[test]
fn an_image_in_use_is_removed_only_by_force() {
    on_a_node(async |node| {
        let gorae = Gorae::of(node);
        gorae.ok(&["run", "-d", "--name", "user", TINY, "sleep"]).await;
        let refused = gorae.run(&["rmi", TINY]).await;
        assert_eq!(refused.code, 1);
        assert!(refused.err.contains("used by user"), "{}", refused.err);
        gorae.ok(&["rm", "-f", "user"]).await;
        gorae.ok(&["rmi", TINY]).await;
        let gone = gorae.run(&["rmi", TINY]).await;
        assert_eq!(gone.code, 1);
        assert!(gone.err.contains("no such image"), "{}", gone.err);
        gorae.leaves_nothing().await;
    });
}

#[test]
fn a_pull_that_fails_says_of_what_and_where() {
    on_a_node(async |node| {
        let gorae = Gorae::of(node);
        for name in ["images.gorae.test/gorae/absent:1", "not a name", "images.gorae.test/UPPER"] {
            let ran = gorae.run(&["pull", name]).await;
            assert_eq!((ran.code, ran.out.as_str()), (1, ""));
            assert!(ran.err.contains(&format!("pull {name}")), "{}", ran.err);
            let last = ran.err.lines().last().unwrap();
            let first_words = ["gorae: check the ", "gorae: write the image as NAME"];
            assert!(first_words.iter().any(|words| last.starts_with(words)), "{last}");
        }
        let never = gorae.run(&["run", "--rm", "--pull", "never", TINY, "true"]).await;
        assert_eq!(never.code, 125);
        assert!(never.err.contains("--pull never"), "{}", never.err);
    });
}
