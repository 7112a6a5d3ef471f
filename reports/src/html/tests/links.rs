//! Where the links of a page lead.

use super::*;
use crate::capacity::tests::plan;
use crate::capacity::tests::simulated::Server;

#[test]
fn ids_are_unique_and_links_lead_somewhere() {
    assert_ids(&run(&folder()).unwrap());
}

#[test]
fn numbers_on_a_chart_can_be_followed_by_name() {
    let page = run(&folder()).unwrap();
    let chart = page.split("<figure ").find(|figure| figure.contains("id=\"post-times\"")).unwrap();
    let svg = &chart[chart.find("<svg class=\"frame\"").unwrap()..chart.find("</figure>").unwrap()];
    assert!(svg.starts_with("<svg class=\"frame\" role=\"group\""), "what an image holds cannot be followed");
    let links = svg.split("<a href=\"#post-").skip(1);
    assert!(links.clone().count() > 0);
    assert!(links.clone().all(|link| link.split('>').next().unwrap().contains("aria-label=\"")), "{svg}");
    let hidden = svg.split("aria-hidden=\"true\"").skip(1).map(|rest| rest.split("</g>").next().unwrap());
    assert!(hidden.clone().count() > 0 && hidden.into_iter().all(|group| !group.contains("<a ")), "{svg}");
}

/// Every figure that is named can be traced to what it means, on whatever page.
#[test]
fn figures_lead_to_their_definitions() {
    let (base, candidate) = (set("runs/before", 10), set("runs/after", 12));
    let pages = [
        run(&folder()).unwrap(),
        overlay(&[folder(), folder()]).unwrap(),
        comparison(&compare(&base, &candidate, &METRICS, false).unwrap()),
        gate(&gate_of(10, [1.12, 1.02, 0.97])),
        capacity(&Server::default().session(&plan(), None, usize::MAX)),
        live::page(""),
    ];
    for (index, page) in pages.iter().enumerate() {
        assert_ids(page);
        let links = page.matches("class=\"term\" href=\"#definition-0\"").count();
        assert!(
            page.contains("id=\"definition-0\"") && (links > 0 || index == 5),
            "page {index}: {links} links"
        );
    }
}
