//! Schemas out of the types of handlers, on the command line.

use serde_json::json;

use super::world::World;

#[test]
fn a_handler_prints_the_schemas_that_its_types_say() {
    let world = World::new();
    let ran = world.run(&["handler", "schema", "validate_order"]).ended(0);
    let told = ran.json();
    assert_eq!((&told["handler"], &told["inputs"][0]["key"]), (&json!("validate_order"), &json!("customer.id")));
    let (schema, says_why) = (&told["inputs"][0]["schema"], ran.err.contains("without the feature `schemas`"));
    if cfg!(feature = "schemas") {
        assert_eq!((&schema["type"], says_why), (&json!("integer"), false), "{told}");
    } else {
        assert_eq!((schema, says_why), (&json!(null), true), "{told}");
    }
    world.run(&["handler", "schema", "validate_ordr"]).refused(3, "E311", "did you mean `validate_order`?");
}

#[cfg(feature = "schemas")]
#[test]
fn a_schema_that_no_result_of_the_handler_fits_is_found_by_check() {
    let world = World::new();
    let template = |name: &str, wanted: &str| {
        format!("name: {name}\nsteps:\n  - {{ name: a, handler: stumble, result_schema: {{ type: {wanted} }} }}\n")
    };
    world.write("odd.yaml", template("odd", "string"));
    let ran = world.clumsy(&["template", "check", "odd.yaml"]).ended(0).plain();
    let told =
        "warning[E218]: no result of step `a` can fit its `result_schema`: the result has to be string, and is integer";
    assert!(ran.err.contains(told), "{}", ran.err);
    world.write("fits.yaml", template("fits", "number"));
    let ran = world.clumsy(&["template", "check", "fits.yaml"]).ended(0).plain();
    assert!(!ran.err.contains("warning"), "{}", ran.err);
}
