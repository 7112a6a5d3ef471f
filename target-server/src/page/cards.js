// The list of posts in the document: one card per post, kept while the post is shown, so that focus and selection
// survive what happens to others. Whatever a post says is set as text.

const parts = (element) => (name) => element.querySelector(`[data-part="${name}"]`);
const TIME = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });

export class Cards {
  #list;
  #template;
  #onEdit;
  #onDelete;
  /** Post id -> {item, post, own}. */
  #cards = new Map();

  constructor(list, template, { onEdit, onDelete }) {
    this.#list = list;
    this.#template = template;
    this.#onEdit = onEdit;
    this.#onDelete = onDelete;
  }

  /** Makes the list show these posts; new cards are marked when they came live. False: the focus went with its card. */
  show(posts, userId, live) {
    const focused = this.#list.contains(document.activeElement);
    const shown = new Set(posts.map((post) => post._id));
    for (const [id, { item }] of this.#cards) {
      if (shown.has(id)) continue;
      item.remove();
      this.#cards.delete(id);
    }
    let place = this.#list.firstElementChild;
    for (const post of posts) {
      const card = this.#cards.get(post._id) ?? this.#add(post._id, live);
      this.#fill(card, post, post.creator._id === userId);
      if (card.item === place) place = place.nextElementSibling;
      else this.#list.insertBefore(card.item, place);
    }
    return !focused || this.#list.contains(document.activeElement);
  }

  #add(id, live) {
    const item = this.#template.content.firstElementChild.cloneNode(true);
    const card = { item, post: null, own: false };
    const part = parts(item);
    part("edit").addEventListener("click", () => this.#onEdit(card.post));
    part("delete").addEventListener("click", () => this.#onDelete(card.post));
    item.classList.toggle("live", live);
    this.#cards.set(id, card);
    return card;
  }

  #fill(card, post, own) {
    if (card.post === post && card.own === own) return;
    Object.assign(card, { post, own });
    const part = parts(card.item);
    part("title").textContent = post.title;
    part("creator").textContent = post.creator.name;
    part("created").dateTime = post.createdAt;
    part("created").textContent = TIME.format(new Date(post.createdAt));
    part("edited").hidden = post.updatedAt === post.createdAt;
    part("content").textContent = post.content;
    part("own").hidden = !own;
  }
}
