//! The stack machine that runs a pickle's instructions.

use std::collections::HashMap;

use super::{Id, Limits, Object, Pickle, Value};

/// Longest line of the one text instruction that protocols 2 to 4 still use.
const NAME_BYTES: usize = 1000;

/// See [`Pickle::read`].
pub(super) fn run(bytes: &[u8], limits: &Limits) -> Result<Pickle, String> {
    let mut machine = Machine {
        input: bytes,
        at: 0,
        stack: Vec::new(),
        marks: Vec::new(),
        memo: HashMap::new(),
        values: Vec::new(),
        limits: *limits,
    };
    for _ in 0..limits.operations {
        let at = machine.at;
        let wrong = |reason: String| format!("pickle is broken at byte {at}: {reason}");
        if machine.step().map_err(wrong)? == Step::Stop {
            let root = machine.pop().map_err(wrong)?;
            return Ok(Pickle { values: machine.values, root });
        }
    }
    Err(format!("pickle has more instructions than the limit {}", limits.operations))
}

#[derive(Debug, Eq, PartialEq)]
enum Step {
    Next,
    Stop,
}

struct Machine<'a> {
    input: &'a [u8],
    at: usize,
    stack: Vec<Id>,
    /// Heights of the stack at each open mark.
    marks: Vec<usize>,
    memo: HashMap<u32, Id>,
    values: Vec<Value>,
    limits: Limits,
}

impl Machine<'_> {
    fn step(&mut self) -> Result<Step, String> {
        let op = self.byte()?;
        match op {
            b'.' => return Ok(Step::Stop),
            // Protocol, frame length: the machine needs neither.
            0x80 => self.protocol()?,
            0x95 => self.skip(8)?,
            b'(' => self.mark()?,
            b'0' => self.discard()?,
            b'1' => self.discard_to_mark()?,
            b'2' => self.duplicate()?,
            b'q' | b'r' | 0x94 => self.remember(op)?,
            b'h' | b'j' => self.recall(op)?,
            b'a' | b'e' | 0x90 => self.append(op)?,
            b's' | b'u' => self.set(op)?,
            b'b' => self.build()?,
            _ => {
                let value = match self.scalar(op)? {
                    Some(value) => value,
                    None => match self.container(op)? {
                        Some(value) => value,
                        None => self.call(op)?,
                    },
                };
                self.push_value(value)?;
            }
        }
        Ok(Step::Next)
    }

    /// Instructions that push a value of their own.
    fn scalar(&mut self, op: u8) -> Result<Option<Value>, String> {
        Ok(Some(match op {
            b'N' => Value::None,
            0x88 => Value::Bool(true),
            0x89 => Value::Bool(false),
            b'K' => Value::Int(self.length(1)? as i64),
            b'M' => Value::Int(self.length(2)? as i64),
            b'J' => Value::Int(i64::from(self.length(4)? as u32 as i32)),
            0x8a | 0x8b => self.long(if op == 0x8a { 1 } else { 4 })?,
            b'G' => {
                let bytes = self.bytes(8)?.try_into().map_err(|_| "float is not 8 bytes")?;
                Value::Float(f64::from_be_bytes(bytes))
            }
            0x8c => self.text(1)?,
            b'X' => self.text(4)?,
            0x8d => self.text(8)?,
            b'U' | b'C' => self.raw(1)?,
            b'T' | b'B' => self.raw(4)?,
            0x8e => self.raw(8)?,
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                Value::Global(format!("{module}.{name}"))
            }
            _ => return Ok(None),
        }))
    }

    /// Instructions that make a container, empty or of what is on the stack.
    fn container(&mut self, op: u8) -> Result<Option<Value>, String> {
        Ok(Some(match op {
            b']' => Value::List(Vec::new()),
            b'}' => Value::Dict(Vec::new()),
            0x8f => Value::Set(Vec::new()),
            b')' => Value::Tuple(Vec::new()),
            b'l' => Value::List(self.pop_to_mark()?),
            b'd' => Value::Dict(paired(&self.pop_to_mark()?)?),
            0x91 => Value::Set(self.pop_to_mark()?),
            b't' => Value::Tuple(self.pop_to_mark()?),
            0x85..=0x87 => {
                let count = usize::from(op - 0x84);
                let mut items: Vec<Id> =
                    (0..count).map(|_| self.pop()).collect::<Result<_, _>>()?;
                items.reverse();
                Value::Tuple(items)
            }
            _ => return Ok(None),
        }))
    }

    /// Instructions that would run something; they record it.
    fn call(&mut self, op: u8) -> Result<Value, String> {
        match op {
            b'Q' => Ok(Value::Persistent(self.pop()?)),
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                match (&self.values[module.0 as usize], &self.values[name.0 as usize]) {
                    (Value::Text(module), Value::Text(name))
                        if module.len() + name.len() <= NAME_BYTES =>
                    {
                        Ok(Value::Global(format!("{module}.{name}")))
                    }
                    _ => Err("a global's name is not two short texts".to_owned()),
                }
            }
            b'R' | 0x81 => {
                let (args, class) = (self.pop()?, self.pop()?);
                Ok(recorded(class, args))
            }
            0x92 => {
                // Arguments by keyword are of no use to anyone here.
                let (_, args, class) = (self.pop()?, self.pop()?, self.pop()?);
                Ok(recorded(class, args))
            }
            _ => Err(format!("instruction {op:#04x} is not of protocols 2 to 4")),
        }
    }

    fn build(&mut self) -> Result<(), String> {
        let (state, target) = (self.pop()?, self.top()?);
        if let Value::Object(object) = &mut self.values[target.0 as usize] {
            object.state = Some(state);
            return Ok(());
        }
        Err("a state is set on what is no object".to_owned())
    }

    fn append(&mut self, op: u8) -> Result<(), String> {
        let new = if op == b'a' { vec![self.pop()?] } else { self.pop_to_mark()? };
        let target = self.top()?;
        let target = &mut self.values[target.0 as usize];
        if let Value::List(items) | Value::Set(items) = target {
            items.extend(new);
        } else if let Value::Object(object) = target {
            object.items.extend(new);
        } else {
            return Err("items are added to what holds none".to_owned());
        }
        Ok(())
    }

    fn set(&mut self, op: u8) -> Result<(), String> {
        let new = if op == b's' {
            let (value, key) = (self.pop()?, self.pop()?);
            vec![(key, value)]
        } else {
            paired(&self.pop_to_mark()?)?
        };
        let target = self.top()?;
        let target = &mut self.values[target.0 as usize];
        if let Value::Dict(pairs) = target {
            pairs.extend(new);
        } else if let Value::Object(object) = target {
            object.pairs.extend(new);
        } else {
            return Err("keys are set in what has none".to_owned());
        }
        Ok(())
    }

    fn remember(&mut self, op: u8) -> Result<(), String> {
        let key = match op {
            b'q' => self.length(1)? as u32,
            b'r' => self.length(4)? as u32,
            _ => self.memo.len() as u32,
        };
        let value = self.top()?;
        self.memo.insert(key, value);
        if self.memo.len() > self.limits.memo {
            return Err(format!("more values are remembered than the limit {}", self.limits.memo));
        }
        Ok(())
    }

    fn recall(&mut self, op: u8) -> Result<(), String> {
        let key = self.length(if op == b'h' { 1 } else { 4 })? as u32;
        let value = self.memo.get(&key).copied();
        self.push(value.ok_or_else(|| format!("nothing is remembered as {key}"))?)
    }

    fn protocol(&mut self) -> Result<(), String> {
        let protocol = self.byte()?;
        if (2..=4).contains(&protocol) {
            return Ok(());
        }
        Err(format!("protocol is {protocol}, must be 2 to 4"))
    }

    fn mark(&mut self) -> Result<(), String> {
        if self.marks.len() >= self.limits.stack {
            return Err(format!("more marks than the limit {}", self.limits.stack));
        }
        self.marks.push(self.stack.len());
        Ok(())
    }

    fn discard(&mut self) -> Result<(), String> {
        self.pop().map(|_| ())
    }

    fn discard_to_mark(&mut self) -> Result<(), String> {
        self.pop_to_mark().map(|_| ())
    }

    fn duplicate(&mut self) -> Result<(), String> {
        let top = self.top()?;
        self.push(top)
    }

    fn push_value(&mut self, value: Value) -> Result<(), String> {
        let id = u32::try_from(self.values.len()).map_err(|_| "too many values".to_owned())?;
        self.values.push(value);
        self.push(Id(id))
    }

    fn push(&mut self, id: Id) -> Result<(), String> {
        if self.stack.len() >= self.limits.stack {
            return Err(format!("stack is deeper than the limit {}", self.limits.stack));
        }
        self.stack.push(id);
        Ok(())
    }

    /// What lies above the innermost mark can be popped, nothing below.
    fn floor(&self) -> usize {
        self.marks.last().copied().unwrap_or(0)
    }

    fn pop(&mut self) -> Result<Id, String> {
        let top = self.top()?;
        self.stack.pop();
        Ok(top)
    }

    fn top(&self) -> Result<Id, String> {
        let above = &self.stack[self.floor()..];
        above.last().copied().ok_or_else(|| "stack is empty".to_owned())
    }

    fn pop_to_mark(&mut self) -> Result<Vec<Id>, String> {
        let height = self.marks.pop().ok_or("there is no mark")?;
        Ok(self.stack.split_off(height))
    }

    fn byte(&mut self) -> Result<u8, String> {
        Ok(self.bytes(1)?[0])
    }

    fn bytes(&mut self, count: usize) -> Result<&[u8], String> {
        let end = self.at.checked_add(count).filter(|end| *end <= self.input.len());
        let end = end.ok_or_else(|| {
            format!("{count} bytes are needed, {} are left", self.input.len() - self.at)
        })?;
        let bytes = &self.input[self.at..end];
        self.at = end;
        Ok(bytes)
    }

    fn skip(&mut self, count: usize) -> Result<(), String> {
        self.bytes(count).map(|_| ())
    }

    /// An unsigned little-endian number of `count` bytes.
    fn length(&mut self, count: usize) -> Result<u64, String> {
        let bytes = self.bytes(count)?;
        Ok(bytes.iter().rev().fold(0, |sum, byte| (sum << 8) | u64::from(*byte)))
    }

    /// Bytes behind their length, which is checked against the input before anything is copied.
    fn counted(&mut self, length_bytes: usize) -> Result<&[u8], String> {
        let count = self.length(length_bytes)?;
        self.bytes(usize::try_from(count).map_err(|_| format!("{count} bytes are needed"))?)
    }

    fn text(&mut self, length_bytes: usize) -> Result<Value, String> {
        let bytes = self.counted(length_bytes)?;
        let text = std::str::from_utf8(bytes).map_err(|_| "a text is not UTF-8")?;
        Ok(Value::Text(text.to_owned()))
    }

    fn raw(&mut self, length_bytes: usize) -> Result<Value, String> {
        Ok(Value::Bytes(self.counted(length_bytes)?.to_vec()))
    }

    /// A two's complement little-endian integer.
    fn long(&mut self, length_bytes: usize) -> Result<Value, String> {
        let bytes = self.counted(length_bytes)?;
        if bytes.len() > 8 {
            return Err(format!("an integer has {} bytes, limit 8", bytes.len()));
        }
        let negative = bytes.last().is_some_and(|byte| byte & 0x80 != 0);
        let mut full = [if negative { 0xff } else { 0 }; 8];
        full[..bytes.len()].copy_from_slice(bytes);
        Ok(Value::Int(i64::from_le_bytes(full)))
    }

    fn line(&mut self) -> Result<String, String> {
        let rest = &self.input[self.at..];
        let window = &rest[..rest.len().min(NAME_BYTES)];
        let end = window.iter().position(|byte| *byte == b'\n');
        let end = end.ok_or_else(|| format!("a name does not end within {NAME_BYTES} bytes"))?;
        let name = std::str::from_utf8(&rest[..end]).map_err(|_| "a name is not UTF-8")?.to_owned();
        self.at += end + 1;
        Ok(name)
    }
}

fn recorded(class: Id, args: Id) -> Value {
    let (items, pairs) = (Vec::new(), Vec::new());
    Value::Object(Box::new(Object { class, args, state: None, items, pairs }))
}

fn paired(flat: &[Id]) -> Result<Vec<(Id, Id)>, String> {
    let (pairs, rest) = flat.as_chunks::<2>();
    if !rest.is_empty() {
        return Err("a key has no value".to_owned());
    }
    Ok(pairs.iter().map(|[key, value]| (*key, *value)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(program: &[u8], expected: &str) {
        let limits = Limits { operations: 5000, stack: 1000, memo: 100, ..Limits::default() };
        let error = run(program, &limits).unwrap_err();
        assert!(error.contains(expected), "{error}");
    }

    #[test]
    fn values_come_out_as_they_went_in() {
        // {'a': [1, -2, True], 'b': (None, 1.5)}, protocol 2.
        let program = b"\x80\x02}q\x00(X\x01\x00\x00\x00a]q\x01(K\x01J\xfe\xff\xff\xff\x88eX\x01\
            \x00\x00\x00bNG\x3f\xf8\x00\x00\x00\x00\x00\x00\x86u.";
        let pickle = run(program, &Limits::default()).unwrap();
        let list = pickle.items(pickle.entry(pickle.root(), "a").unwrap()).unwrap();
        assert_eq!((pickle.int(list[0]), pickle.int(list[1])), (Some(1), Some(-2)));
        assert_eq!(pickle.get(list[2]), &Value::Bool(true));
        let tuple = pickle.items(pickle.entry(pickle.root(), "b").unwrap()).unwrap();
        assert_eq!(pickle.get(tuple[1]), &Value::Float(1.5));
    }

    #[test]
    fn a_call_is_recorded_and_not_made() {
        let program = b"\x80\x02cos\nsystem\nX\x08\x00\x00\x00touch /x\x85R.";
        let pickle = run(program, &Limits::default()).unwrap();
        assert_eq!(pickle.describe(pickle.root()), "a os.system");
        let args = pickle.object(pickle.root()).unwrap().args;
        assert_eq!(pickle.text(pickle.items(args).unwrap()[0]), Some("touch /x"));
    }

    #[test]
    fn a_list_may_hold_itself() {
        let pickle = run(b"\x80\x02]q\x00h\x00a.", &Limits::default()).unwrap();
        assert_eq!(pickle.items(pickle.root()).unwrap(), [pickle.root()]);
    }

    #[test]
    fn deep_nesting_stops_at_the_limit_and_needs_no_recursion() {
        check(&[b"\x80\x02".as_slice(), &[b']'; 4000]].concat(), "stack is deeper than the limit");
        check(&[b"\x80\x02".as_slice(), &[b'('; 4000]].concat(), "more marks than the limit");
        // ((((…)))) one million deep, built and dropped.
        let program = [b"\x80\x02)".as_slice(), &vec![0x85; 1_000_000], b"."].concat();
        run(&program, &Limits::default()).unwrap();
    }

    #[test]
    fn endless_work_and_memory_stop_at_their_limits() {
        check(&[b'N', b'0'].repeat(4000), "more instructions than the limit 5000");
        check(&[b"N".as_slice(), &[0x94; 200]].concat(), "more values are remembered");
        // Each list holds the one before it many times over: small here, huge if it were copied.
        let mut laughs = b"\x80\x02]q\x00".to_vec();
        for level in 0..60u8 {
            laughs.extend([b']', b'q', level + 1, b'(', b'h', level, b'h', level, b'e']);
        }
        laughs.push(b'.');
        assert!(run(&laughs, &Limits::default()).is_ok());
    }

    #[test]
    fn sizes_beyond_the_input_are_errors() {
        check(b"\x80\x02X\xff\xff\xff\xffabc", "4294967295 bytes are needed, 3 are left");
        check(b"\x80\x04\x8d\xff\xff\xff\xff\xff\xff\xff\xffabc", "bytes are needed");
        check(b"\x80\x02\x8b\x00\x00\x00\x40", "1073741824 bytes are needed");
        check(b"\x80\x02\x8a\x09123456789.", "an integer has 9 bytes, limit 8");
        check(&[b"\x80\x02c".as_slice(), &[b'a'; 3000]].concat(), "a name does not end");
    }

    #[test]
    fn broken_programs_are_errors() {
        check(b"", "1 bytes are needed, 0 are left");
        check(b"\x80\x02", "0 are left");
        check(b"\x80\x02.", "stack is empty");
        check(b"\x80\x05N.", "protocol is 5");
        check(b"\x80\x02h\x07.", "nothing is remembered as 7");
        check(b"\x80\x02R.", "stack is empty");
        check(b"\x80\x02t.", "there is no mark");
        check(b"\x80\x02N(0", "stack is empty");
        check(b"\x80\x02}(Nu.", "a key has no value");
        check(b"\x80\x02NNb.", "no object");
        check(b"\x80\x02NNa.", "holds none");
        check(b"\x80\x02iposix\nsystem\n.", "not of protocols 2 to 4");
        check(b"\x80\x02\x82\x01.", "not of protocols 2 to 4");
        check(b"\x80\x04NN\x93.", "not two short texts");
        check(b"\x80\x02X\x01\x00\x00\x00\xff.", "not UTF-8");
    }
}
