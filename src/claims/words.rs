//! Tables of words that more than one rule reads.

/// Words whose full stop abbreviates them, without it, in lower case.
pub(super) const ABBREVIATIONS: &[&str] = &[
    "etc", "e.g", "i.e", "vs", "approx", "cf", "ca", "al", "no", "fig", "figs", "vol", "pp", "p",
    "ed", "eds", "est", "dept", "inc", "ltd", "co", "corp", "jan", "feb", "mar", "apr", "jun",
    "jul", "aug", "sep", "sept", "oct", "nov", "dec", "a.m", "p.m", "u.s", "u.k", "ph.d", "min",
    "max", "sec", "cm", "mm", "px", "ft",
];

/// Titles: what follows them is a name, so their full stop ends nothing.
pub(super) const TITLES: &[&str] = &[
    "mr", "mrs", "ms", "dr", "prof", "st", "jr", "sr", "rev", "gen", "col", "sgt", "capt", "lt",
    "hon", "e.g", "i.e", "vs", "cf", "approx",
];

/// Words that hold English sentences together.
pub(super) const ENGLISH_FUNCTION_WORDS: &[&str] = &[
    "the", "a", "an", "is", "are", "of", "and", "with", "to", "in", "on", "has", "have", "no",
    "not", "there", "it", "this", "that", "for", "at", "by", "be", "was",
];

/// Words that hold sentences in other languages with Latin letters together.
pub(super) const FOREIGN_FUNCTION_WORDS: &[&str] = &[
    "le", "la", "les", "des", "une", "un", "et", "est", "avec", "dans", "du", "au", "der", "das",
    "die", "den", "dem", "und", "ist", "sind", "ein", "eine", "einen", "mit", "nicht", "el", "los",
    "las", "una", "con", "en", "es", "tiene", "il", "lo", "gli", "di", "che", "sono", "het", "een",
    "met", "van", "de", "não", "uma", "com", "está",
];

/// What may open an English noun phrase.
pub(super) const DETERMINERS: &[&str] = &[
    "a", "an", "the", "no", "his", "her", "its", "their", "my", "your", "our", "this", "that",
    "these", "those", "some", "any", "another", "each", "every", "both", "several", "many",
    "multiple", "few", "all", "either", "neither", "numerous", "various", "two-tone",
];

/// English prepositions.
pub(super) const PREPOSITIONS: &[&str] = &[
    "in",
    "on",
    "at",
    "by",
    "for",
    "from",
    "to",
    "of",
    "with",
    "without",
    "under",
    "over",
    "above",
    "below",
    "beneath",
    "beside",
    "besides",
    "behind",
    "between",
    "among",
    "near",
    "next",
    "inside",
    "outside",
    "within",
    "through",
    "around",
    "across",
    "against",
    "along",
    "into",
    "onto",
    "off",
    "during",
    "after",
    "before",
    "as",
    "like",
    "than",
    "left",
    "right",
    "about",
    "toward",
    "towards",
    "despite",
    "except",
    "including",
    "because",
    "since",
    "until",
    "per",
    "via",
    "upon",
    "alongside",
    "adjacent",
    "close",
];

/// Words that open a clause which cannot stand alone.
pub(super) const SUBORDINATORS: &[&str] = &[
    "if", "when", "whenever", "because", "since", "unless", "until", "after", "before", "where",
    "so", "that", "whether", "as", "for", "to",
];

/// Adverbs that open a sentence or a phrase and are no noun phrase.
pub(super) const ADVERBS: &[&str] = &[
    "however",
    "also",
    "moreover",
    "furthermore",
    "additionally",
    "overall",
    "thus",
    "hence",
    "therefore",
    "then",
    "first",
    "second",
    "third",
    "finally",
    "instead",
    "similarly",
    "here",
    "there",
    "too",
    "respectively",
    "together",
    "especially",
    "particularly",
    "notably",
    "clearly",
    "very",
    "quite",
    "still",
    "again",
    "perhaps",
    "maybe",
    "only",
    "just",
    "rather",
    "even",
    "yes",
    "no",
];

/// Plurals that do not end in "s", and nouns without an indefinite article.
pub(super) const PLURAL_OR_MASS: &[&str] = &[
    "teeth",
    "people",
    "men",
    "women",
    "children",
    "feet",
    "hair",
    "makeup",
    "skin",
    "sheep",
    "mice",
    "geese",
    "fish",
    "water",
    "grass",
    "food",
    "clothing",
    "jewelry",
    "eyewear",
    "facial",
    "blur",
    "text",
    "noise",
    "light",
    "snow",
    "furniture",
    "evidence",
    "traffic",
    "smoke",
    "fire",
    "sand",
    "cattle",
    "police",
    "headwear",
    "lipstick",
    "symmetry",
];

/// Irregular and other adjectives of looks, beside those of the antonym table.
pub(super) const ADJECTIVES: &[&str] = &[
    "happy",
    "sad",
    "angry",
    "tired",
    "calm",
    "wooden",
    "metal",
    "plastic",
    "glass",
    "leather",
    "striped",
    "spotted",
    "plain",
    "colorful",
    "colourful",
    "blurry",
    "sharp",
    "crooked",
    "broken",
    "cracked",
    "chipped",
    "jagged",
    "shiny",
    "glossy",
    "matte",
    "wrinkled",
    "freckled",
    "pale",
    "tanned",
    "bearded",
    "bald",
    "blond",
    "blonde",
    "curly",
    "wavy",
    "spiky",
    "bushy",
    "round",
    "oval",
    "square",
    "pointed",
    "pointy",
    "notched",
    "narrow",
    "wide",
    "thick",
    "thin",
    "fluffy",
    "furry",
    "muddy",
    "dusty",
    "rusty",
    "empty",
    "full",
    "busy",
    "crowded",
    "sunny",
    "cloudy",
    "rainy",
    "snowy",
    "foggy",
    "smiling",
    "glowing",
    "shadowed",
    "discoloured",
    "discolored",
    "transparent",
    "opaque",
    "asymmetric",
    "asymmetrical",
    "symmetric",
    "distorted",
    "deformed",
    "malformed",
    "warped",
    "missing",
    "extra",
    "duplicated",
    "visible",
    "golden",
    "silver",
    "beige",
    "overexposed",
    "realistic",
    "computer-generated",
    "fake",
    "genuine",
    "unusual",
    "strange",
    "odd",
    "blurred",
];

/// Colours.
pub(super) const COLOURS: &[&str] = &[
    "black",
    "white",
    "red",
    "green",
    "blue",
    "yellow",
    "orange",
    "purple",
    "pink",
    "brown",
    "grey",
    "gray",
    "golden",
    "silver",
    "beige",
    "blond",
    "blonde",
    "turquoise",
    "violet",
];

/// English numbers.
pub(super) const NUMBERS: &[(&str, u32)] = &[
    ("zero", 0),
    ("one", 1),
    ("two", 2),
    ("three", 3),
    ("four", 4),
    ("five", 5),
    ("six", 6),
    ("seven", 7),
    ("eight", 8),
    ("nine", 9),
    ("ten", 10),
    ("eleven", 11),
    ("twelve", 12),
    ("thirteen", 13),
    ("fourteen", 14),
    ("fifteen", 15),
    ("sixteen", 16),
    ("seventeen", 17),
    ("eighteen", 18),
    ("nineteen", 19),
    ("twenty", 20),
    ("thirty", 30),
    ("forty", 40),
    ("fifty", 50),
    ("hundred", 100),
    ("dozen", 12),
];

/// Quantifiers without a number that mean more than one.
pub(super) const SEVERAL: &[&str] =
    &["several", "multiple", "many", "numerous", "few", "couple", "pair", "dozens", "hundreds"];

/// Words for the picture itself.
pub(super) const PICTURES: &[&str] = &[
    "image",
    "photo",
    "picture",
    "photograph",
    "frame",
    "scene",
    "shot",
    "video",
    "drawing",
    "portrait",
    "painting",
    "screenshot",
    "illustration",
    "view",
    "clip",
];

/// Words for what is worn: "in a red dress" is no place.
pub(super) const CLOTHES: &[&str] = &[
    "dress", "suit", "shirt", "t-shirt", "hat", "coat", "jacket", "uniform", "jeans", "shorts",
    "skirt", "sweater", "tie", "costume", "clothes", "clothing", "cap", "helmet", "hoodie",
    "glasses", "boots", "shoes", "robe", "gown", "outfit", "attire",
];

/// Hair, and what is of it: its own colours are told of these.
pub(super) const HAIR: &[&str] = &[
    "hair",
    "hairs",
    "hairstyle",
    "haircut",
    "beard",
    "moustache",
    "mustache",
    "sideburns",
    "eyebrow",
    "eyebrows",
    "eyelashes",
    "fringe",
    "bangs",
    "ponytail",
    "curls",
    "braid",
    "braids",
];

/// People.
pub(super) const PERSONS: &[&str] = &[
    "man", "men", "woman", "women", "person", "people", "boy", "boys", "girl", "girls", "child",
    "children", "lady", "guy", "player", "actor", "actress", "model", "male", "female", "he",
    "she", "adult", "kid",
];

/// Whether a word is an English adjective of looks.
pub(super) fn is_adjective(word: &str) -> bool {
    ADJECTIVES.contains(&word) || COLOURS.contains(&word) || super::forms::is_attribute(word)
}

/// Whether a word reads as a plural or a mass noun, so that it takes no "a".
pub(super) fn is_plural(word: &str) -> bool {
    let ending = word.ends_with('s') && !word.ends_with("ss") && !word.ends_with("us");
    ending || PLURAL_OR_MASS.contains(&word)
}
