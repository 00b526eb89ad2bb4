fn main() {
    for f in std::env::args().skip(1) {
        let s = std::fs::read_to_string(&f).unwrap();
        let t = std::time::Instant::now();
        match tasker_types::template::parse(&f, &s) {
            Ok(p) => {
                for w in &p.warnings {
                    println!("{}", w.render(&f, &s));
                }
                println!("{}", serde_json::to_string(&p.template).unwrap());
            }
            Err(e) => println!("{e}"),
        }
        println!("{:?}", t.elapsed());
    }
}
