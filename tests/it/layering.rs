//! The house rules that no compiler checks: a room imports only the rooms its `//! Imports:` line
//! states, all of them declared above it in `src/lib.rs`; every file opens with `//!`; no file has
//! more than 500 lines without a `//! Long because:` line.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

const LONGEST_FILE_LINES: usize = 500;

#[test]
fn rooms_import_only_what_they_state_and_only_from_above() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let rooms = rooms(&read(&root.join("src/lib.rs")));
    assert!(rooms.len() > 10, "src/lib.rs declares {rooms:?}");
    let mut wrong = Vec::new();
    let mut stated = BTreeMap::new();
    for room in &rooms {
        let folder = root.join("src").join(room);
        let first =
            if folder.is_dir() { folder.join("mod.rs") } else { folder.with_extension("rs") };
        match imports(&read(&first), room, &rooms) {
            Ok(imports) => drop(stated.insert(room.clone(), imports)),
            Err(reason) => wrong.push(format!("{}: {reason}", first.display())),
        }
    }
    for path in sources(&root.join("src")) {
        let file = path.strip_prefix(root).unwrap();
        let modules = modules(file);
        let source = read(&path);
        wrong.extend(shape(&source).map(|reason| format!("{}: {reason}", file.display())));
        let Some(allowed) = modules.first().and_then(|room| stated.get(room)) else { continue };
        for (line, name) in named(&source, modules.len()) {
            let room = &modules[0];
            if name != *room && rooms.contains(&name) && !allowed.contains(&name) {
                wrong.push(format!(
                    "{}:{line}: room {room} names {name}, which its Imports line does not state",
                    file.display()
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

/// The rooms in their order: `pub mod NAME;` in `lib.rs`.
fn rooms(lib: &str) -> Vec<String> {
    let name = |line: &str| Some(line.strip_prefix("pub mod ")?.strip_suffix(';')?.to_owned());
    lib.lines().filter_map(name).collect()
}

/// What a room's `Imports:` line states.
fn imports(source: &str, room: &str, rooms: &[String]) -> Result<Vec<String>, String> {
    let header = source.lines().map_while(|line| line.strip_prefix("//!")).collect::<String>();
    let (_, rest) = header.split_once("Imports:").ok_or("has no `//! Imports:` line")?;
    let (list, _) = rest.split_once('.').ok_or("its Imports line ends without a full stop")?;
    if list.trim() == "nothing" {
        return Ok(Vec::new());
    }
    let above: Vec<&String> = rooms.iter().take_while(|other| *other != room).collect();
    list.split(',')
        .map(str::trim)
        .map(|name| {
            if above.iter().any(|other| *other == name) {
                Ok(name.to_owned())
            } else {
                Err(format!("imports {name}, which is no room above {room} in src/lib.rs"))
            }
        })
        .collect()
}

/// The modules a file stands for, from the crate's root: `src/engine/queue.rs` is engine, queue.
fn modules(file: &Path) -> Vec<String> {
    file.with_extension("")
        .iter()
        .skip(1)
        .map(|part| part.to_string_lossy().into_owned())
        .filter(|part| !matches!(part.as_str(), "mod" | "lib" | "main"))
        .collect()
}

/// What is wrong with a file as a whole.
fn shape(source: &str) -> Option<String> {
    let lines = source.lines().count();
    let excused = source.lines().any(|line| line.starts_with("//! Long because: "));
    if !source.starts_with("//! ") {
        Some("does not open with `//! ` and what lives here".into())
    } else if lines > LONGEST_FILE_LINES && !excused {
        Some(format!(
            "has {lines} lines, limit {LONGEST_FILE_LINES}; split it, or say why not in a \
             `//! Long because: …` line"
        ))
    } else {
        None
    }
}

/// Each name at the crate's root that a file at module depth `depth` writes, with its line:
/// through `crate::`, through enough `super::`, in braces or not.
fn named(source: &str, depth: usize) -> Vec<(usize, String)> {
    let tokens = tokens(&without_comments_and_texts(source));
    let word = |at: usize| tokens.get(at).map_or("", |(_, token)| token.as_str());
    let mut found = Vec::new();
    // Brace depths at which inline modules opened: each is one more `super` from the root.
    let (mut braces, mut inline) = (0, Vec::new());
    let mut at = 0;
    while at < tokens.len() {
        match word(at) {
            "{" => {
                braces += 1;
                if at >= 2 && word(at - 2) == "mod" {
                    inline.push(braces);
                }
            }
            "}" => {
                if inline.last() == Some(&braces) {
                    inline.pop();
                }
                braces -= 1;
            }
            "crate" | "super" if at == 0 || !matches!(word(at - 1), "::" | "$") => {
                let start = at;
                while word(at + 1) == "::" && word(at + 2) == "super" {
                    at += 2;
                }
                let supers = (at - start) / 2 + 1;
                let at_root = word(start) == "crate" || supers == depth + inline.len();
                if at_root && word(at + 1) == "::" {
                    found.extend(heads(&tokens, at + 2));
                }
            }
            _ => {}
        }
        at += 1;
    }
    found
}

/// The first name of a path, or of each path in a group in braces.
fn heads(tokens: &[(usize, String)], start: usize) -> Vec<(usize, String)> {
    let Some((line, first)) = tokens.get(start) else { return Vec::new() };
    if first != "{" {
        return vec![(*line, first.clone())];
    }
    let mut found = Vec::new();
    let mut depth = 0;
    for pair in tokens[start..].windows(2) {
        match pair[0].1.as_str() {
            "{" => depth += 1,
            "}" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            break;
        }
        if depth == 1 && matches!(pair[0].1.as_str(), "{" | ",") && pair[1].1 != "}" {
            found.push(pair[1].clone());
        }
    }
    found
}

/// Words, `::` and single signs, each with its line from 1.
fn tokens(code: &str) -> Vec<(usize, String)> {
    let mut tokens: Vec<(usize, String)> = Vec::new();
    for (line, text) in code.lines().enumerate() {
        let mut rest = text.trim_start();
        while let Some(first) = rest.chars().next() {
            let is_word = |sign: char| sign.is_alphanumeric() || sign == '_';
            let length = if is_word(first) {
                rest.find(|sign| !is_word(sign)).unwrap_or(rest.len())
            } else if rest.starts_with("::") {
                2
            } else {
                first.len_utf8()
            };
            tokens.push((line + 1, rest[..length].to_owned()));
            rest = rest[length..].trim_start();
        }
    }
    tokens
}

/// The code alone: comments, texts and characters are left out, line breaks stay.
fn without_comments_and_texts(source: &str) -> String {
    let mut code = String::new();
    let mut rest = source;
    while let Some(sign) = rest.chars().next() {
        let length = skipped(rest, code.chars().next_back());
        let (left_out, kept) = rest.split_at(length.unwrap_or(sign.len_utf8()));
        match length {
            Some(_) => code.extend(left_out.chars().filter(|sign| *sign == '\n')),
            None => code.push(sign),
        }
        rest = kept;
    }
    code
}

/// How many bytes of a comment, text or character stand at the start of `rest`, if one does.
fn skipped(rest: &str, before: Option<char>) -> Option<usize> {
    let to = |end: Option<usize>| Some(end.unwrap_or(rest.len()));
    let in_word = before.is_some_and(|sign| sign.is_alphanumeric() || sign == '_');
    if rest.starts_with("//") {
        return to(rest.find('\n'));
    }
    if rest.starts_with("/*") {
        return to(rest.find("*/").map(|end| end + 2));
    }
    if let Some(raw) = rest.strip_prefix('r').filter(|_| !in_word || before == Some('b')) {
        let hashes = raw.len() - raw.trim_start_matches('#').len();
        if raw[hashes..].starts_with('"') {
            let close = format!("\"{}", "#".repeat(hashes));
            let body = 2 + hashes;
            return to(rest[body..].find(&close).map(|end| body + end + close.len()));
        }
    }
    if rest.starts_with('"') {
        return to(after_closing(rest, '"'));
    }
    let mut signs = rest.chars();
    if signs.next() == Some('\'') {
        // A lifetime has no closing sign after its first letter.
        let escaped = signs.next() == Some('\\');
        return if escaped || signs.next() == Some('\'') {
            after_closing(rest, '\'')
        } else {
            None
        };
    }
    None
}

/// Where the text or character that starts `rest` has ended.
fn after_closing(rest: &str, close: char) -> Option<usize> {
    let mut escaped = false;
    for (at, sign) in rest.char_indices().skip(1) {
        if escaped {
            escaped = false;
        } else if sign == '\\' {
            escaped = true;
        } else if sign == close {
            return Some(at + 1);
        }
    }
    None
}

#[test]
fn every_way_to_name_a_room_is_seen() {
    let check = |source: &str, depth: usize, expected: &[(usize, &str)]| {
        let found = named(source, depth);
        let found: Vec<(usize, &str)> = found.iter().map(|(l, name)| (*l, name.as_str())).collect();
        assert_eq!(found, expected, "{source}");
    };
    check("use crate::vision::image::Rgb8;", 1, &[(1, "vision")]);
    check(
        "use crate::{\n  vision::{a, b},\n  engine::self,\n};",
        1,
        &[(2, "vision"), (3, "engine")],
    );
    check("fn f() {\n  crate::models::g(&super::x);\n}", 2, &[(2, "models")]);
    check("use super::queue::Queue;", 2, &[]);
    check("use super::super::vision;", 2, &[(1, "vision")]);
    check("use super::super::{vision, engine};", 2, &[(1, "vision"), (1, "engine")]);
    check("use super::vision;", 1, &[(1, "vision")]);
    check("mod tests {\n use super::*;\n use super::super::vision;\n}", 1, &[(3, "vision")]);
    check("mod a { mod b {} }\nuse super::vision;", 1, &[(2, "vision")]);
    check("pub(crate) fn f() {}\npub(in crate::vision) fn g() {}", 1, &[(2, "vision")]);
    check("// crate::a\n/* crate::b */ const C: &str = \"\\\"crate::c\";", 1, &[]);
    check("const A: &[&str] = &[r#\"crate::a \" b\"#]; fn f<'a>(c: char) { c == '\"' }", 1, &[]);
    check("fn f<'a>(x: &'a crate::engine::Y) {}", 1, &[(1, "engine")]);
}

#[test]
fn a_header_that_states_what_it_may_not_is_refused() {
    let rooms = ["a", "b", "c"].map(str::to_owned);
    let check = |source: &str, expected: Result<&[&str], &str>| {
        let expected = expected
            .map(|names| names.iter().map(|name| (*name).to_owned()).collect())
            .map_err(str::to_owned);
        assert_eq!(imports(source, "b", &rooms), expected);
    };
    check("//! Room.\n//!\n//! Imports: a.\n", Ok(&["a"]));
    check("//! Room.\n//! Imports: nothing.\n", Ok(&[]));
    check("//! Imports: c.", Err("imports c, which is no room above b in src/lib.rs"));
    check("//! Imports: b.", Err("imports b, which is no room above b in src/lib.rs"));
    check("//! Imports: a", Err("its Imports line ends without a full stop"));
    check("//! Room.", Err("has no `//! Imports:` line"));
    assert_eq!(shape("use a;").as_deref(), Some("does not open with `//! ` and what lives here"));
    let long = "//! Here.\n".repeat(501);
    assert!(shape(&long).unwrap().starts_with("has 501 lines, limit 500"));
    assert_eq!(shape(&format!("{long}//! Long because: it is a table.\n")), None);
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
