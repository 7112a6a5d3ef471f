//! The posts that frames may carry: announced by the publisher, found again in the frames by their id.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
};

use super::plan::Plan;

/// Posts that can still be found; more than the publisher and the queues of the sockets hold together.
const POSTS_MAX: usize = 8192;
/// The beginning of a frame that carries a new post; its id and a quote follow. The publisher writes `action` first
/// and the id of a post first, so no search is needed.
const BEFORE_ID: &[u8] = br#"42["posts",{"action":"create","post":{"_id":""#;

/// A post that the server took.
pub(super) struct Taken {
    /// In creation order, from 0.
    pub(super) number: u64,
    pub(super) id: String,
    /// On the monotonic clock.
    pub(super) at_ns: u64,
    /// The plan that was in force, which decides what becomes of the post.
    pub(super) plan: Arc<Plan>,
}

/// The posts taken lately.
#[derive(Default)]
pub(super) struct Posts {
    recent: Mutex<Recent>,
}

#[derive(Default)]
struct Recent {
    by_id: HashMap<String, Arc<Taken>>,
    ids: VecDeque<String>,
}

impl Posts {
    pub(super) fn add(&self, post: Arc<Taken>) {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        if recent.ids.len() == POSTS_MAX
            && let Some(oldest) = recent.ids.pop_front()
        {
            recent.by_id.remove(&oldest);
        }
        recent.ids.push_back(post.id.clone());
        recent.by_id.insert(post.id.clone(), post);
    }

    fn find(&self, id: &str) -> Option<Arc<Taken>> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner).by_id.get(id).cloned()
    }
}

/// Finds the posts of frames; remembers the last one, since a broadcast comes as many frames of one post.
pub(super) struct Finder {
    posts: Arc<Posts>,
    last: Option<Arc<Taken>>,
}

impl Finder {
    pub(super) fn new(posts: Arc<Posts>) -> Self {
        Self { posts, last: None }
    }

    /// The post that this text creates; `None` for everything else that a server says.
    pub(super) fn find(&mut self, text: &[u8]) -> Option<Arc<Taken>> {
        let rest = text.strip_prefix(BEFORE_ID)?;
        let id = str::from_utf8(rest.split(|byte| *byte == b'"').next()?).ok()?;
        if self.last.as_ref().is_none_or(|last| last.id != id) {
            self.last = Some(self.posts.find(id)?);
        }
        self.last.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(number: u64) -> Arc<Taken> {
        let plan = Arc::new(Plan::new(1, Vec::new()));
        Arc::new(Taken { number, id: format!("id-{number}"), at_ns: 0, plan })
    }

    #[test]
    fn only_known_new_posts_are_found() {
        let posts = Arc::new(Posts::default());
        posts.add(taken(3));
        let mut finder = Finder::new(Arc::clone(&posts));
        let mut find = |text: &str| finder.find(text.as_bytes()).map(|post| post.number);
        let create =
            |id: &str| format!(r#"42["posts",{{"action":"create","post":{{"_id":"{id}","title":"t"}}}}]"#);
        assert_eq!(find(&create("id-3")), Some(3));
        assert_eq!(find(&create("id-3")), Some(3));
        assert_eq!(find(&create("id-4")), None);
        assert_eq!(find(&create("id-3").replace("create", "update")), None);
        for other in ["", "2", r#"40{"sid":"x"}"#, r#"42["posts",{"action":"create","post":{"_id":"id-3"#] {
            assert_ne!(find(other), Some(4), "{other}");
        }
    }

    #[test]
    fn the_oldest_are_forgotten() {
        let posts = Posts::default();
        (0..=POSTS_MAX as u64).for_each(|number| posts.add(taken(number)));
        assert!(posts.find("id-0").is_none() && posts.find("id-1").is_some());
        let recent = posts.recent.lock().unwrap();
        assert_eq!((recent.ids.len(), recent.by_id.len()), (POSTS_MAX, POSTS_MAX));
    }
}
