//! A post, and the three things that can happen to one.

use jiff::Timestamp;
use serde::{Serialize, Serializer};

/// Who wrote a post, as everyone sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Creator {
    #[serde(rename = "_id")]
    pub(crate) id: String,
    pub(crate) name: String,
}

/// A post, as everyone sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Post {
    #[serde(rename = "_id")]
    pub(crate) id: String,
    pub(crate) title: String,
    pub(crate) content: String,
    pub(crate) image_url: Option<String>,
    pub(crate) creator: Creator,
    #[serde(serialize_with = "rfc3339")]
    pub(crate) created_at: Timestamp,
    #[serde(serialize_with = "rfc3339")]
    pub(crate) updated_at: Timestamp,
}

impl Post {
    /// The same post with new words.
    pub(crate) fn apply(&mut self, edit: PostEdit) {
        self.title = edit.title;
        self.content = edit.content;
        if let Some(image_url) = edit.image_url {
            self.image_url = image_url;
        }
        self.updated_at = edit.at;
    }
}

/// Always three decimals, as JavaScript's `toISOString` writes them.
fn rfc3339<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{time:.3}"))
}

/// A post to be created.
#[derive(Debug, Clone)]
pub(crate) struct NewPost {
    pub(crate) id: String,
    pub(crate) creator_id: String,
    pub(crate) title: String,
    pub(crate) content: String,
    pub(crate) image_url: Option<String>,
    pub(crate) at: Timestamp,
}

impl NewPost {
    /// The post that everyone sees once it is stored.
    pub(crate) fn stored_as(self, creator_name: String) -> Post {
        Post {
            id: self.id,
            title: self.title,
            content: self.content,
            image_url: self.image_url,
            creator: Creator { id: self.creator_id, name: creator_name },
            created_at: self.at,
            updated_at: self.at,
        }
    }
}

/// New words for a post that exists.
#[derive(Debug, Clone)]
pub(crate) struct PostEdit {
    pub(crate) id: String,
    /// Who asks; only the creator may.
    pub(crate) caller_id: String,
    pub(crate) title: String,
    pub(crate) content: String,
    /// `None` keeps the image, `Some(None)` takes it away.
    pub(crate) image_url: Option<Option<String>>,
    pub(crate) at: Timestamp,
}

/// The end of a post.
#[derive(Debug, Clone)]
pub(crate) struct PostRemoval {
    pub(crate) id: String,
    /// Who asks; only the creator may.
    pub(crate) caller_id: String,
}

/// One thing that happens to one post.
#[derive(Debug, Clone)]
pub(crate) enum Change {
    Create(NewPost),
    Update(PostEdit),
    Delete(PostRemoval),
}

impl Change {
    /// The word that subscribers get.
    pub(crate) fn action(&self) -> Action {
        match self {
            Self::Create(_) => Action::Create,
            Self::Update(_) => Action::Update,
            Self::Delete(_) => Action::Delete,
        }
    }
}

/// What happened, in the word that subscribers get.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Action {
    Create,
    Update,
    Delete,
}

impl Action {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
        }
    }
}

/// One page of the feed, newest first.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PageRequest {
    /// From 1.
    pub(crate) page: u64,
    pub(crate) per_page: u64,
}

impl PageRequest {
    /// Posts before this page.
    pub(crate) fn offset(&self) -> u64 {
        self.page.saturating_sub(1).saturating_mul(self.per_page)
    }
}

/// What a page holds, and how many posts there are in all.
#[derive(Debug, Clone)]
pub(crate) struct Page {
    pub(crate) posts: Vec<Post>,
    pub(crate) total_items: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_post_is_written_as_the_course_writes_it() {
        let at = Timestamp::from_millisecond(1_700_000_000_120).unwrap();
        let creator = Creator { id: "u".into(), name: "Ada".into() };
        let post = Post {
            id: "p".into(),
            title: "title".into(),
            content: "content".into(),
            image_url: None,
            creator,
            created_at: at,
            updated_at: at,
        };
        assert_eq!(
            serde_json::to_string(&post).unwrap(),
            r#"{"_id":"p","title":"title","content":"content","imageUrl":null,"creator":{"_id":"u","name":"Ada"},"createdAt":"2023-11-14T22:13:20.120Z","updatedAt":"2023-11-14T22:13:20.120Z"}"#
        );
    }

    #[test]
    fn the_offset_of_an_absurd_page_does_not_overflow() {
        assert_eq!(PageRequest { page: 1, per_page: 2 }.offset(), 0);
        assert_eq!(PageRequest { page: 3, per_page: 2 }.offset(), 4);
        assert_eq!(PageRequest { page: u64::MAX, per_page: 100 }.offset(), u64::MAX);
    }
}
