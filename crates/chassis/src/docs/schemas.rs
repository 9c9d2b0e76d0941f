//! The schemas of a document: shared where they are the same, described where they are not yet, and left out where nothing
//! refers to them.

use std::collections::BTreeMap;

use utoipa::openapi::schema::{AdditionalProperties, ArrayItems};
use utoipa::openapi::{OpenApi, Ref, RefOr, Schema};

use super::glossary;

/// Lists of what has a schema of its own refer to it: a page is written out with its items otherwise.
pub(super) fn share(document: &mut OpenApi) {
    let Some(components) = &mut document.components else {
        return;
    };
    let whole = |schema: &Schema| matches!(schema, Schema::Object(object) if !object.properties.is_empty());
    let named: Vec<(String, Schema)> = components
        .schemas
        .iter()
        .filter_map(|(name, schema)| match schema {
            RefOr::T(schema) if whole(schema) => Some((name.clone(), schema.clone())),
            RefOr::T(_) | RefOr::Ref(_) => None,
        })
        .collect();
    for schema in components.schemas.values_mut() {
        walk(schema, &mut |schema| {
            let Schema::Array(array) = schema else { return };
            let ArrayItems::RefOrSchema(items) = &mut array.items else {
                return;
            };
            let known = match &**items {
                RefOr::T(schema) => named.iter().find(|(_, named)| named == schema),
                RefOr::Ref(_) => None,
            };
            if let Some((name, _)) = known {
                **items = RefOr::Ref(Ref::from_schema_name(name));
            }
        });
    }
}

/// Members without a description get the one that their name has everywhere; where a member may be null, what is said of the
/// other choice is said of the member.
pub(super) fn describe(document: &mut OpenApi) {
    let Some(components) = &mut document.components else {
        return;
    };
    for schema in components.schemas.values_mut() {
        walk(schema, &mut |schema| {
            let Schema::Object(object) = schema else { return };
            for (name, member) in &mut object.properties {
                if let RefOr::T(member) = member
                    && let Some(description) = description(member)
                    && description.is_none()
                {
                    *description = glossary::meaning(name).map(str::to_owned);
                }
                if let RefOr::T(Schema::OneOf(choice)) = member {
                    let of_choices = choice.items.iter_mut().filter_map(|item| match item {
                        RefOr::Ref(target) => Some(std::mem::take(&mut target.description)),
                        RefOr::T(_) => None,
                    });
                    let said = of_choices.into_iter().find(|text| !text.is_empty());
                    choice.description = said.or_else(|| choice.description.take());
                }
            }
        });
    }
}

fn description(schema: &mut Schema) -> Option<&mut Option<String>> {
    match schema {
        Schema::Array(array) => Some(&mut array.description),
        Schema::Object(object) => Some(&mut object.description),
        Schema::OneOf(one) => Some(&mut one.description),
        Schema::AllOf(all) => Some(&mut all.description),
        Schema::AnyOf(any) => Some(&mut any.description),
        _ => None,
    }
}

/// Leaves out schemas that nothing refers to.
pub(super) fn prune(document: &mut OpenApi) {
    loop {
        // a document that cannot be written is not served either
        let Ok(text) = document.to_json() else { return };
        let Some(components) = &mut document.components else {
            return;
        };
        let before = components.schemas.len();
        let is_used = |name: &str| text.contains(&format!("\"#/components/schemas/{name}\""));
        let schemas = std::mem::take(&mut components.schemas);
        let used: BTreeMap<_, _> = schemas.into_iter().filter(|(name, _)| is_used(name)).collect();
        components.schemas = used;
        if components.schemas.len() == before {
            return;
        }
    }
}

/// Calls `visit` with a schema and all that are within it.
fn walk(schema: &mut RefOr<Schema>, visit: &mut impl FnMut(&mut Schema)) {
    let RefOr::T(schema) = schema else { return };
    visit(schema);
    match schema {
        Schema::Array(array) => {
            if let ArrayItems::RefOrSchema(items) = &mut array.items {
                walk(items, visit);
            }
        }
        Schema::Object(object) => {
            object
                .properties
                .values_mut()
                .for_each(|member| walk(member, visit));
            if let Some(AdditionalProperties::RefOr(values)) = object.additional_properties.as_deref_mut() {
                walk(values, visit);
            }
        }
        Schema::OneOf(one) => one.items.iter_mut().for_each(|item| walk(item, visit)),
        Schema::AllOf(all) => all.items.iter_mut().for_each(|item| walk(item, visit)),
        Schema::AnyOf(any) => any.items.iter_mut().for_each(|item| walk(item, visit)),
        _ => {}
    }
}
