//! Pickled Python objects as inert data, and the tensors of `PyTorch`'s `.pt` files.
//!
//! A pickle is a program whose instructions may call any Python function. This interpreter builds
//! data and executes nothing: a call becomes a [`Value::Object`] that records what was to be called
//! with what. Only the reader in `torch_file` gives a few of these records a meaning. Every size
//! that a file can claim is bounded by [`Limits`].
//!
//! Opcodes: `pickletools` of the Python library, protocols 2 to 4 (PEP 307, PEP 3154).

mod machine;
mod torch_file;

pub use torch_file::TorchFile;

/// Bounds on what a file may make the reader do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    /// Files within the archive.
    pub entries: usize,
    /// Length of the pickle.
    pub pickle_bytes: u64,
    /// Length of all storages that are read, together.
    pub storage_bytes: u64,
    /// How many times its packed size a file within the archive may unpack to.
    pub expansion: u64,
    /// Instructions of the pickle; each makes at most one value.
    pub operations: usize,
    /// Values that wait on the stack.
    pub stack: usize,
    /// Remembered values.
    pub memo: usize,
    /// Modules and tensors that are visited in a module tree.
    pub modules: usize,
    /// Modules within modules.
    pub module_depth: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            entries: 65_536,
            pickle_bytes: 32 << 20,
            storage_bytes: 4 << 30,
            expansion: 64,
            operations: 2_000_000,
            stack: 200_000,
            memo: 1_000_000,
            modules: 50_000,
            module_depth: 32,
        }
    }
}

/// A value's place in its [`Pickle`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Id(u32);

/// One value; those within it are referred to by place, so that loops and shared values cost
/// nothing and nothing recurses.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `None`.
    None,
    /// `True` or `False`.
    Bool(bool),
    /// An integer of up to 8 bytes.
    Int(i64),
    /// A float.
    Float(f64),
    /// A string.
    Text(String),
    /// A byte string.
    Bytes(Vec<u8>),
    /// A tuple.
    Tuple(Vec<Id>),
    /// A list.
    List(Vec<Id>),
    /// A set or frozen set.
    Set(Vec<Id>),
    /// A dictionary, in the order of insertion; a repeated key's last value counts.
    Dict(Vec<(Id, Id)>),
    /// The name of a class or function, as `module.name`. It is never looked up.
    Global(String),
    /// What a call would have made.
    Object(Box<Object>),
    /// Something that the pickle leaves to its reader: storages, in `PyTorch`'s files.
    Persistent(Id),
}

/// The record of a call that was not made.
#[derive(Clone, Debug, PartialEq)]
pub struct Object {
    /// The callable.
    pub class: Id,
    /// Its arguments.
    pub args: Id,
    /// The state that was to be set afterwards.
    pub state: Option<Id>,
    /// Items that were to be appended.
    pub items: Vec<Id>,
    /// Keys and values that were to be set.
    pub pairs: Vec<(Id, Id)>,
}

/// All values of a pickle.
#[derive(Clone, Debug)]
pub struct Pickle {
    values: Vec<Value>,
    root: Id,
}

impl Pickle {
    /// Interprets `bytes`.
    ///
    /// # Errors
    /// What is wrong with the pickle, or which limit it breaks.
    pub fn read(bytes: &[u8], limits: &Limits) -> Result<Self, String> {
        machine::run(bytes, limits)
    }

    /// What the pickle stands for.
    pub fn root(&self) -> Id {
        self.root
    }

    /// The value at a place.
    pub fn get(&self, id: Id) -> &Value {
        &self.values[id.0 as usize]
    }

    /// The text at a place.
    pub fn text(&self, id: Id) -> Option<&str> {
        if let Value::Text(text) = self.get(id) { Some(text) } else { None }
    }

    /// The integer at a place.
    pub fn int(&self, id: Id) -> Option<i64> {
        if let Value::Int(number) = self.get(id) { Some(*number) } else { None }
    }

    /// The items of a tuple or list.
    pub fn items(&self, id: Id) -> Option<&[Id]> {
        if let Value::Tuple(items) | Value::List(items) = self.get(id) { Some(items) } else { None }
    }

    /// Keys and values of a dictionary or `OrderedDict`.
    pub fn pairs(&self, id: Id) -> Option<&[(Id, Id)]> {
        if let Value::Dict(pairs) = self.get(id) {
            return Some(pairs);
        }
        let object = self.object(id)?;
        self.is_global(object.class, "collections.OrderedDict").then_some(object.pairs.as_slice())
    }

    /// The value at a text key of a dictionary.
    pub fn entry(&self, id: Id, key: &str) -> Option<Id> {
        let pairs = self.pairs(id)?;
        pairs.iter().rev().find(|(name, _)| self.text(*name) == Some(key)).map(|(_, value)| *value)
    }

    /// The object at a place.
    pub fn object(&self, id: Id) -> Option<&Object> {
        if let Value::Object(object) = self.get(id) { Some(object) } else { None }
    }

    /// An attribute of an object.
    pub fn attribute(&self, id: Id, name: &str) -> Option<Id> {
        self.entry(self.object(id)?.state?, name)
    }

    /// Whether a place holds the name `global`.
    pub fn is_global(&self, id: Id, global: &str) -> bool {
        matches!(self.get(id), Value::Global(name) if name == global)
    }

    /// What is at a place, in a few words for messages.
    pub fn describe(&self, id: Id) -> String {
        match self.get(id) {
            Value::None => "None".to_owned(),
            Value::Bool(_) => "a truth value".to_owned(),
            Value::Int(_) => "an integer".to_owned(),
            Value::Float(_) => "a float".to_owned(),
            Value::Text(_) => "a text".to_owned(),
            Value::Bytes(_) => "bytes".to_owned(),
            Value::Tuple(_) => "a tuple".to_owned(),
            Value::List(_) => "a list".to_owned(),
            Value::Set(_) => "a set".to_owned(),
            Value::Dict(_) => "a dictionary".to_owned(),
            Value::Global(name) => format!("the name {}", shown(name)),
            Value::Object(object) => {
                if let Value::Global(name) = self.get(object.class) {
                    return format!("a {}", shown(name));
                }
                "an object without a class name".to_owned()
            }
            Value::Persistent(_) => "a storage".to_owned(),
        }
    }
}

/// A name from a file, fit for a message: printable and short.
fn shown(name: &str) -> String {
    name.chars().take(80).map(|c| if c.is_control() { '?' } else { c }).collect()
}
