//! What the built-in models take, out of a request's tensors: pictures and texts.

use bytes::Bytes;

use crate::serving::ServingError;
use crate::serving::tensor::{Content, Datatype, NamedTensor};
use crate::verification::Frame;
use crate::vision::image::RawFormat;

/// An input, and its place in the request.
pub(super) struct Placed {
    at: usize,
    tensor: NamedTensor,
}

/// A picture, and the field that an error about it names.
pub(super) struct Picture {
    pub(super) field: String,
    pub(super) frame: Frame,
}

/// The pictures of a request, at least one.
pub(super) type Pictures = Vec<Picture>;

/// The inputs of these names, in this order; there must be no others.
pub(super) fn named<const N: usize>(
    inputs: Vec<NamedTensor>,
    names: [&str; N],
) -> Result<[Placed; N], ServingError> {
    let mut found: [Option<Placed>; N] = std::array::from_fn(|_| None);
    for (at, tensor) in inputs.into_iter().enumerate() {
        let Some(place) = names.iter().position(|name| *name == tensor.name()) else {
            let (name, known) = (tensor.name(), names.join(", "));
            let reason = format!("'{name}' is no input; there is {known}");
            return Err(ServingError::invalid(format!("inputs[{at}].name"), reason));
        };
        found[place] = Some(Placed { at, tensor });
    }
    if let Some(missing) = found.iter().position(Option::is_none) {
        let reason = format!("'{}' is missing", names[missing]);
        return Err(ServingError::invalid("inputs", reason));
    }
    let mut found = found.into_iter().flatten();
    Ok(std::array::from_fn(|_| found.next().expect("none is missing: looked at just above")))
}

impl Placed {
    fn wrong(&self, reason: &str) -> ServingError {
        let Self { at, tensor } = self;
        ServingError::invalid(format!("inputs[{at}]"), format!("'{}' {reason}", tensor.name()))
    }

    /// The field of one element.
    fn element(&self, index: usize) -> String {
        format!("inputs[{}].contents[{index}]", self.at)
    }

    fn expects(&self, expected: &str) -> ServingError {
        let (datatype, shape) = (self.tensor.datatype(), self.tensor.shape());
        self.wrong(&format!("expects {expected}, got {datatype} {shape:?}"))
    }
}

/// Encoded pictures, BYTES `[N]` or `[N, 1]`, or RGB pixels, UINT8 `[N, H, W, 3]`; 1 to `limit`.
pub(super) fn pictures(input: &Placed, limit: usize) -> Result<Pictures, ServingError> {
    let number = input.tensor.shape().first().copied().unwrap_or(0);
    let frames: Vec<Frame> = match (input.tensor.content(), input.tensor.shape()) {
        (Content::Strings(strings), [_] | [_, 1]) => {
            strings.iter().cloned().map(Frame::Encoded).collect()
        }
        (Content::Numbers(pixels), &[_, height, width, 3])
            if input.tensor.datatype() == Datatype::Uint8 =>
        {
            let side = |side: usize| u32::try_from(side).unwrap_or(u32::MAX);
            let (width, height) = (side(width), side(height));
            let each = pixels.len().checked_div(number).unwrap_or(0);
            let picture = |at: usize| pixels.slice(at * each..(at + 1) * each);
            let raw = |data: Bytes| Frame::Raw {
                format: RawFormat::Rgb8,
                width,
                height,
                stride: 0,
                data,
            };
            (0..number.min(limit.saturating_add(1))).map(picture).map(raw).collect()
        }
        _ => {
            return Err(
                input.expects("BYTES [-1], encoded pictures, or UINT8 [-1, -1, -1, 3], RGB pixels")
            );
        }
    };
    if frames.is_empty() || frames.len() > limit {
        return Err(input.wrong(&format!("has {number} pictures, must be 1 to {limit}")));
    }
    let placed = |(index, frame)| Picture { field: input.element(index), frame };
    Ok(frames.into_iter().enumerate().map(placed).collect())
}

/// Texts, BYTES `[P]` or `[P, 1]` in UTF-8, at least one; and the field that errors name.
pub(super) fn texts(input: &Placed) -> Result<(String, Vec<String>), ServingError> {
    let (Content::Strings(strings), [_] | [_, 1]) = (input.tensor.content(), input.tensor.shape())
    else {
        return Err(input.expects("BYTES [-1], texts in UTF-8"));
    };
    if strings.is_empty() {
        return Err(input.wrong("has 0 texts, needs at least 1"));
    }
    let text = |(index, bytes): (usize, &Bytes)| {
        let text = std::str::from_utf8(bytes).map_err(|error| {
            let reason = format!("'{}' is no UTF-8: {error}", input.tensor.name());
            ServingError::invalid(input.element(index), reason)
        })?;
        Ok(text.to_owned())
    };
    let texts = strings.iter().enumerate().map(text).collect::<Result<_, ServingError>>()?;
    Ok((format!("inputs[{}].contents", input.at), texts))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strings(name: &str, shape: &[usize], values: &[&'static [u8]]) -> NamedTensor {
        NamedTensor::strings(name, shape, values.iter().copied())
    }

    fn bytes(datatype: Datatype, shape: &[usize]) -> NamedTensor {
        let count: usize = shape.iter().product();
        let content = Content::Numbers((0..count).map(|i| i as u8).collect());
        NamedTensor::new("IMAGE", datatype, shape.to_vec(), content).unwrap()
    }

    fn placed(tensor: NamedTensor) -> Placed {
        Placed { at: 1, tensor }
    }

    #[test]
    fn inputs_are_found_by_name() {
        let given = || vec![strings("B", &[0], &[]), strings("A", &[0], &[])];
        let [a, b] = named(given(), ["A", "B"]).unwrap();
        assert_eq!((a.at, b.at), (1, 0));
        let check = |names: [&str; 2], expected: &str| {
            let error = named(given(), names).map(|_| ()).unwrap_err();
            assert_eq!(error.to_string(), expected);
        };
        check(["A", "C"], "inputs[0].name: 'B' is no input; there is A, C");
        let error = named(Vec::new(), ["A"]).map(|_| ()).unwrap_err();
        assert_eq!(error.to_string(), "inputs: 'A' is missing");
    }

    #[test]
    fn pictures_are_files_or_pixels() {
        let files = pictures(&placed(strings("IMAGE", &[2, 1], &[b"a", b"b"])), 2).unwrap();
        assert!(matches!(&files[1].frame, Frame::Encoded(bytes) if bytes.as_ref() == b"b"));
        assert_eq!(files[1].field, "inputs[1].contents[1]");
        let raw = pictures(&placed(bytes(Datatype::Uint8, &[2, 1, 2, 3])), 2).unwrap();
        let Frame::Raw { width, height, data, .. } = &raw[1].frame else { panic!("no pixels") };
        assert_eq!((*width, *height, data.as_ref()), (2, 1, &[6, 7, 8, 9, 10, 11][..]));
    }

    #[test]
    fn what_is_no_picture_is_refused() {
        let check = |tensor: NamedTensor, expected: &str| {
            let error = pictures(&placed(tensor), 2).map(|_| ()).unwrap_err().to_string();
            assert_eq!(error, format!("inputs[1]: 'IMAGE' {expected}"));
        };
        let expects = "expects BYTES [-1], encoded pictures, or UINT8 [-1, -1, -1, 3], RGB pixels,";
        check(strings("IMAGE", &[0], &[]), "has 0 pictures, must be 1 to 2");
        check(strings("IMAGE", &[3], &[b"", b"", b""]), "has 3 pictures, must be 1 to 2");
        check(bytes(Datatype::Uint8, &[3, 1, 1, 3]), "has 3 pictures, must be 1 to 2");
        check(bytes(Datatype::Uint8, &[0, 1, 1, 3]), "has 0 pictures, must be 1 to 2");
        check(strings("IMAGE", &[], &[b""]), &format!("{expects} got BYTES []"));
        check(bytes(Datatype::Int8, &[1, 1, 1, 3]), &format!("{expects} got INT8 [1, 1, 1, 3]"));
        check(bytes(Datatype::Uint8, &[1, 1, 3]), &format!("{expects} got UINT8 [1, 1, 3]"));
        // A picture with an empty side is the decoder's to refuse, by its own words.
        assert!(pictures(&placed(bytes(Datatype::Uint8, &[1, 0, 5, 3])), 2).is_ok());
    }

    #[test]
    fn texts_are_utf8() {
        let (field, read) = texts(&placed(strings("TEXT", &[1], &["얼굴".as_bytes()]))).unwrap();
        assert_eq!((field.as_str(), read), ("inputs[1].contents", vec!["얼굴".to_owned()]));
        let error = texts(&placed(strings("TEXT", &[2], &[b"a", b"\xff"]))).unwrap_err();
        assert!(error.to_string().starts_with("inputs[1].contents[1]: 'TEXT' is no UTF-8"));
        let error = texts(&placed(strings("TEXT", &[0], &[]))).unwrap_err();
        assert_eq!(error.to_string(), "inputs[1]: 'TEXT' has 0 texts, needs at least 1");
    }
}
