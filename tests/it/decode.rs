//! Decoding: every format against Pillow (`tests/golden/clip.py`), limits, broken files, raw frames.

use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};

use image::{DynamicImage, ImageFormat, RgbImage};
use tch::{Kind, Tensor};
use veriframe::models::weights::Weights;
use veriframe::vision::image::{ImageError, Limits, RawFormat, Rgb8, decode, from_raw};

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/pictures")
}

fn limits() -> Limits {
    Limits::default()
}

#[test]
fn every_format_is_read_as_by_pillow() {
    let expected = Weights::open_safetensors(&golden().join("expected.safetensors")).unwrap();
    assert!(expected.tensors().len() >= 17);
    for (name, expected) in expected.tensors() {
        let image = decode(&fs::read(golden().join(&name)).unwrap(), &limits()).unwrap();
        let got = Tensor::from_slice(image.pixels()).view([31, 45, 3]);
        let difference = (got.to_kind(Kind::Int) - expected.to_kind(Kind::Int)).abs();
        let mean = difference.to_kind(Kind::Double).mean(Kind::Double).double_value(&[]);
        println!("{name}: {mean:.3} levels");
        // Lossy formats leave the inverse transforms and the chroma filter to the decoder.
        let lossy = [".jpg", "lossy.webp"].iter().any(|end| name.ends_with(end));
        assert!(mean <= if lossy { 1.5 } else { 0.0 }, "{name}: {mean} levels");
    }
}

/// A PNG of 1 MB or less whose header claims this size.
fn png_claiming(width: u32, height: u32) -> Vec<u8> {
    let mut png = fs::read(golden().join("rgb.png")).unwrap();
    png[16..20].copy_from_slice(&width.to_be_bytes());
    png[20..24].copy_from_slice(&height.to_be_bytes());
    let mut crc = 0xffff_ffff_u32;
    for &byte in &png[12..29] {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg());
        }
    }
    png[29..33].copy_from_slice(&(!crc).to_be_bytes());
    png
}

#[test]
fn a_giant_header_is_refused_with_its_size_and_the_limit() {
    assert_eq!(
        decode(&png_claiming(60_000, 60_000), &limits()),
        Err(ImageError::TooLarge { what: "width in pixels", value: 60_000, limit: 16_384 })
    );
    assert_eq!(
        decode(&png_claiming(16_000, 16_000), &limits()),
        Err(ImageError::TooLarge {
            what: "width times height in pixels",
            value: 256_000_000,
            limit: 64_000_000
        })
    );
    let mut gif = fs::read(golden().join("palette.gif")).unwrap();
    gif[6..10].copy_from_slice(&[0xff; 4]);
    assert!(matches!(decode(&gif, &limits()), Err(ImageError::TooLarge { value: 65_535, .. })));
    let mut bmp = fs::read(golden().join("rgb.bmp")).unwrap();
    bmp[18..22].copy_from_slice(&30_000u32.to_le_bytes());
    assert!(matches!(decode(&bmp, &limits()), Err(ImageError::TooLarge { value: 30_000, .. })));
    assert_eq!(
        decode(&[0; 11], &Limits { max_bytes: 10, ..limits() }),
        Err(ImageError::TooLarge { what: "size in bytes", value: 11, limit: 10 })
    );
}

#[test]
fn sizes_at_the_limit_are_fine() {
    let png = fs::read(golden().join("rgb.png")).unwrap();
    let exact = Limits { max_bytes: png.len(), max_side_px: 45, max_pixels: 45 * 31 };
    assert!(decode(&png, &exact).is_ok());
    assert!(decode(&png, &Limits { max_side_px: 44, ..exact }).is_err());
    assert!(decode(&png, &Limits { max_pixels: 45 * 31 - 1, ..exact }).is_err());
}

#[test]
fn no_bytes_and_other_files_are_corrupt() {
    assert_eq!(decode(&[], &limits()), Err(ImageError::Corrupt("there are no bytes".into())));
    for other in [&b"%PDF-1.4"[..], &[0; 100], b"hello", b"GIF", b"\xff\xd8"] {
        assert!(matches!(decode(other, &limits()), Err(ImageError::Corrupt(_))), "{other:?}");
    }
}

#[test]
fn pictures_that_end_early_are_corrupt() {
    for entry in fs::read_dir(golden()).unwrap() {
        let path = entry.unwrap().path();
        let bytes = fs::read(&path).unwrap();
        if path.extension().is_some_and(|end| end == "safetensors") {
            continue;
        }
        for keep in [bytes.len() / 4, bytes.len() / 2, bytes.len() * 3 / 4] {
            let result = decode(&bytes[..keep], &limits());
            assert!(
                matches!(result, Err(ImageError::Corrupt(_))),
                "{} cut to {keep} of {}",
                path.display(),
                bytes.len()
            );
        }
    }
}

#[test]
fn a_thumbnail_does_not_pass_for_the_whole_jpeg() {
    let jpeg = fs::read(golden().join("baseline.jpg")).unwrap();
    let thumbnail = fs::read(golden().join("grey.jpg")).unwrap();
    let length = (thumbnail.len() as u16 + 2).to_be_bytes();
    let with = [&jpeg[..2], &[0xff, 0xe1], &length, &thumbnail, &jpeg[2..]].concat();
    assert_eq!(decode(&with, &limits()), decode(&jpeg, &limits()));
    assert!(decode(&with[..with.len() - 400], &limits()).is_err());
}

#[test]
fn damaged_pictures_never_panic() {
    let mut state = 12_345u64;
    let mut draw = |below: usize| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    let small = Limits { max_pixels: 1_000_000, ..limits() };
    for entry in fs::read_dir(golden()).unwrap() {
        let bytes = fs::read(entry.unwrap().path()).unwrap();
        if bytes.len() > 10_000 {
            continue;
        }
        for _ in 0..150 {
            let mut damaged = bytes.clone();
            for _ in 0..=draw(6) {
                let at = draw(damaged.len());
                damaged[at] = draw(256) as u8;
            }
            damaged.truncate(damaged.len() - draw(2) * draw(bytes.len()));
            drop(decode(&damaged, &small));
        }
    }
}

#[test]
fn an_orientation_tag_is_not_applied() {
    let jpeg = fs::read(golden().join("baseline.jpg")).unwrap();
    let exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";
    let length = (exif.len() as u16 + 2).to_be_bytes();
    let with = [&jpeg[..2], &[0xff, 0xe1], &length, &exif[..], &jpeg[2..]].concat();
    let image = decode(&with, &limits()).unwrap();
    assert_eq!((image.width(), image.height()), (45, 31));
}

#[test]
fn deep_colour_is_scaled_to_bytes() {
    let deep = image::ImageBuffer::from_pixel(2, 1, image::Rgb([0u16, 32_896, 65_535]));
    let mut png = Cursor::new(Vec::new());
    DynamicImage::ImageRgb16(deep).write_to(&mut png, ImageFormat::Png).unwrap();
    let image = decode(png.get_ref(), &limits()).unwrap();
    assert_eq!(image.pixels(), [0, 128, 255, 0, 128, 255]);
}

#[test]
fn encoded_by_another_library_and_back() {
    let picture = RgbImage::from_fn(7, 5, |x, y| image::Rgb([x as u8 * 30, y as u8 * 50, 9]));
    for format in [ImageFormat::Png, ImageFormat::Bmp, ImageFormat::Tiff, ImageFormat::WebP] {
        let mut file = Cursor::new(Vec::new());
        picture.write_to(&mut file, format).unwrap();
        let expected = Rgb8::new(7, 5, picture.as_raw().clone());
        assert_eq!(decode(file.get_ref(), &limits()), expected, "{format:?}");
    }
}

fn raw(format: RawFormat, size: (u32, u32), stride: u32, bytes: &[u8]) -> Result<Vec<u8>, String> {
    let image = from_raw(format, size, stride, bytes, &limits()).map_err(|e| e.to_string())?;
    assert_eq!((image.width(), image.height()), size);
    Ok(image.into_pixels())
}

#[test]
fn packed_formats_are_reordered() {
    let bytes = [1, 2, 3, 4, 5, 6];
    assert_eq!(raw(RawFormat::Rgb8, (2, 1), 0, &bytes).unwrap(), bytes);
    assert_eq!(raw(RawFormat::Bgr8, (2, 1), 0, &bytes).unwrap(), [3, 2, 1, 6, 5, 4]);
    assert_eq!(raw(RawFormat::Gray8, (2, 1), 0, &[7, 9]).unwrap(), [7, 7, 7, 9, 9, 9]);
}

#[test]
fn row_padding_is_left_out() {
    let bytes = [1, 2, 3, 0, 0, 4, 5, 6, 0, 0];
    assert_eq!(raw(RawFormat::Rgb8, (1, 2), 5, &bytes).unwrap(), [1, 2, 3, 4, 5, 6]);
    let padded = [16, 0, 0, 0, 235, 0, 0, 0, 128, 128, 0, 0];
    assert_eq!(raw(RawFormat::Nv12, (1, 2), 4, &padded).unwrap(), [0, 0, 0, 255, 255, 255]);
}

#[test]
fn video_planes_become_the_colours_worked_out_by_hand() {
    // BT.601, limited range: black, white, and pure red, whose Y, U, V are 81, 90, 240.
    // 1.164 × 65 + 1.596 × 112 = 254.4; 75.7 + 0.392 × 38 - 0.813 × 112 = -0.5; 75.7 - 76.7 = -1.
    let red = [254, 0, 0];
    let (black, white) = ([0, 0, 0], [255, 255, 255]);
    let nv12 = [16, 235, 81, 81, 16, 235, 81, 81, 128, 128, 90, 240];
    let i420 = [16, 235, 81, 81, 16, 235, 81, 81, 128, 90, 128, 240];
    let expected = [black, white, red, red, black, white, red, red].concat();
    assert_eq!(raw(RawFormat::Nv12, (4, 2), 0, &nv12).unwrap(), expected);
    assert_eq!(raw(RawFormat::I420, (4, 2), 0, &i420).unwrap(), expected);
}

#[test]
fn odd_sides_share_the_last_chroma_sample() {
    // 3×3: two chroma columns and rows; the last pixel of each row and column uses the second.
    let luma = [81u8; 9];
    let grey = (128, 128);
    let (r, g) = ((90, 240), grey);
    let nv12 = [&luma[..], &[g.0, g.1, r.0, r.1, r.0, r.1, g.0, g.1]].concat();
    let i420 = [&luma[..], &[g.0, r.0, r.0, g.0], &[g.1, r.1, r.1, g.1]].concat();
    let (red, grey) = ([254, 0, 0], [76, 76, 76]);
    let rows = [[grey, grey, red], [grey, grey, red], [red, red, grey]];
    let expected = rows.concat().concat();
    assert_eq!(raw(RawFormat::Nv12, (3, 3), 0, &nv12).unwrap(), expected);
    assert_eq!(raw(RawFormat::I420, (3, 3), 0, &i420).unwrap(), expected);
}

#[test]
fn lengths_that_do_not_fit_say_what_is_needed() {
    for (format, needed) in [
        (RawFormat::Rgb8, 12),
        (RawFormat::Bgr8, 12),
        (RawFormat::Gray8, 4),
        (RawFormat::Nv12, 6),
        (RawFormat::I420, 6),
    ] {
        for got in [0, needed - 1, needed + 1] {
            let error = raw(format, (2, 2), 0, &vec![0; got]).unwrap_err();
            assert!(error.contains(&format!("needs {needed} bytes, got {got}")), "{error}");
            assert!(error.contains(format.name()), "{error}");
        }
    }
    let error = raw(RawFormat::Rgb8, (2, 1), 5, &[0; 5]).unwrap_err();
    assert!(error.contains("stride is 5 bytes, RGB8 rows of 2 px need 6"), "{error}");
    assert!(raw(RawFormat::Rgb8, (0, 5), 0, &[]).is_err());
    let giant = raw(RawFormat::I420, (u32::MAX, u32::MAX), u32::MAX, &[]).unwrap_err();
    assert!(giant.contains("width in pixels is 4294967295, limit 16384"), "{giant}");
}
