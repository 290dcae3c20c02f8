// SPDX-License-Identifier: GPL-2.0-or-later
//! libubox's blobmsg: writing, checking and parsing. Unsafe code.
//!
//! The library is linked by `libuci-sys`, which has no declarations of it. What the header does
//! inline (stepping from one attribute to the next) is written here once more, from the layout: a
//! big-endian word of 1 bit "has a name field", 7 bits of type and 24 bits of length, then the
//! length of the name in two bytes, the name, a NUL, zeros up to four bytes, and the data.

use std::ffi::{c_char, c_int, c_uint, c_void, CString};
use std::ptr;

// Links libubox.
use libuci_sys as _;

use flowtabled::ubus::policy::Policy;

const HEAD: usize = 4;
const EXTENDED: u32 = 0x8000_0000;
const LENGTH: u32 = 0x00ff_ffff;
const TYPE_TABLE: c_int = 2;

#[repr(C)]
struct BlobBuf {
    head: *mut c_void,
    grow: Option<unsafe extern "C" fn(*mut BlobBuf, c_int) -> bool>,
    buflen: c_int,
    buf: *mut c_void,
}

#[repr(C)]
struct BlobmsgPolicy {
    name: *const c_char,
    ty: c_int,
}

extern "C" {
    fn blob_buf_init(buf: *mut BlobBuf, id: c_int) -> c_int;
    fn blob_buf_free(buf: *mut BlobBuf);
    fn blob_nest_end(buf: *mut BlobBuf, cookie: *mut c_void);
    fn blobmsg_open_nested(buf: *mut BlobBuf, name: *const c_char, array: bool) -> *mut c_void;
    fn blobmsg_add_field(
        buf: *mut BlobBuf,
        ty: c_int,
        name: *const c_char,
        data: *const c_void,
        len: c_uint,
    ) -> c_int;
    fn blobmsg_check_attr_len(attr: *const c_void, name: bool, len: usize) -> bool;
    fn blobmsg_parse(
        policy: *const BlobmsgPolicy,
        policy_len: c_int,
        found: *mut *mut c_void,
        data: *mut c_void,
        len: c_uint,
    ) -> c_int;
}

/// An attribute as libubox finds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attribute {
    /// Its type.
    pub ty: u8,
    /// It has a name field, which may be empty.
    pub extended: bool,
    /// Its name, without the NUL.
    pub name: Vec<u8>,
    /// The byte behind the name is the NUL that has to be there.
    pub name_ends: bool,
    /// Its data, without padding.
    pub data: Vec<u8>,
}

/// What libubox finds in the arguments of a call.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Read {
    /// The attributes up to the first that it refuses.
    pub attributes: Vec<Attribute>,
    /// It refuses one of them, and with it the call.
    pub refused: bool,
    /// Bytes behind the last attribute, which it does not look at.
    pub rest: usize,
    /// What is left is an attribute of which only the padding is missing.
    pub cut: bool,
}

/// A copy whose attributes are aligned as in a buffer of libubox's own.
struct Aligned(Vec<u32>, usize);

impl Aligned {
    fn new(data: &[u8]) -> Aligned {
        let mut words = vec![0_u32; data.len().div_ceil(4).max(1)];
        for (word, bytes) in words.iter_mut().zip(data.chunks(4)) {
            let mut four = [0; 4];
            for (to, from) in four.iter_mut().zip(bytes) {
                *to = *from;
            }
            *word = u32::from_ne_bytes(four);
        }
        Aligned(words, data.len())
    }

    fn at(&self, offset: usize) -> *const c_void {
        self.0.as_ptr().wrapping_byte_add(offset).cast()
    }
}

/// Walks `data` as libubox does, and lets it check each attribute.
pub fn read(data: &[u8]) -> Read {
    let aligned = Aligned::new(data);
    let (mut read, mut at) = (Read::default(), 0);
    while let Some(rest) = data.get(at..).filter(|rest| rest.len() >= HEAD) {
        let Some(head) = rest.first_chunk() else { break };
        let word = u32::from_be_bytes(*head);
        let length = (word & LENGTH) as usize;
        let padded = length.next_multiple_of(4);
        if padded < HEAD || padded > rest.len() {
            read.cut = length >= HEAD && length <= rest.len();
            break;
        }
        // SAFETY: the pointer is to `rest.len()` bytes of the aligned copy, of which libubox reads
        // no more than it is told of.
        let good = unsafe { blobmsg_check_attr_len(aligned.at(at), false, rest.len()) };
        let attribute = attribute(word, rest.get(HEAD..length).unwrap_or_default());
        let ends = attribute.name_ends;
        read.attributes.push(attribute);
        if !good {
            read.refused = true;
            // The name's NUL is one reason of many.
            if !ends {
                break;
            }
            return read;
        }
        at += padded;
    }
    read.rest = data.len().saturating_sub(at);
    read
}

fn attribute(word: u32, body: &[u8]) -> Attribute {
    let (ty, extended) = ((word >> 24 & 0x7f) as u8, word & EXTENDED != 0);
    if !extended {
        return Attribute { ty, extended, name: Vec::new(), name_ends: true, data: body.to_vec() };
    }
    let name_len = body.first_chunk().map_or(0, |bytes| usize::from(u16::from_be_bytes(*bytes)));
    let name = body.get(2..2 + name_len).unwrap_or_default().to_vec();
    let data = body.get((2 + name_len + 1).next_multiple_of(4)..).unwrap_or_default().to_vec();
    // One that is cut off is refused for its length, not for what would end it.
    let name_ends = body.get(2 + name_len).is_none_or(|byte| *byte == 0);
    Attribute { ty, extended, name, name_ends, data }
}

/// `blobmsg_parse` with the policy of a method: the data of each argument that it takes. `None`
/// when it refuses the call.
///
/// # Panics
/// Names of arguments hold no NUL.
#[allow(clippy::expect_used)]
pub fn parse(policy: &Policy, data: &[u8]) -> Option<Vec<Option<Vec<u8>>>> {
    let names: Vec<CString> = policy
        .arguments
        .iter()
        .map(|argument| CString::new(argument.name).expect("a name"))
        .collect();
    let entries: Vec<BlobmsgPolicy> = names
        .iter()
        .zip(policy.arguments)
        .map(|(name, argument)| BlobmsgPolicy { name: name.as_ptr(), ty: argument.ty as c_int })
        .collect();
    let mut found = vec![ptr::null_mut(); entries.len()];
    let mut aligned = Aligned::new(data);
    let begin: *mut c_void = aligned.0.as_mut_ptr().cast();
    // SAFETY: policy and results have as many entries as told and outlive the call, the names end
    // in NUL, and the data is `data.len()` bytes of the aligned copy. libubox keeps nothing.
    let code = unsafe {
        blobmsg_parse(
            entries.as_ptr(),
            c_int::try_from(entries.len()).ok()?,
            found.as_mut_ptr(),
            begin,
            c_uint::try_from(aligned.1).ok()?,
        )
    };
    if code != 0 {
        return None;
    }
    let data_of = |attribute: &*mut c_void| {
        // What it has found points into the copy.
        let at = (!attribute.is_null()).then(|| *attribute as usize - begin as usize)?;
        let rest = data.get(at..)?;
        let word = u32::from_be_bytes(*rest.first_chunk()?);
        let body = rest.get(HEAD..(word & LENGTH) as usize)?;
        Some(self::attribute(word, body).data)
    };
    Some(found.iter().map(data_of).collect())
}

/// A value to be written.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A string.
    Text(String),
    /// An int8.
    Bool(bool),
    /// An int32.
    Number(i32),
    /// An int64.
    Long(i64),
    /// A double.
    Double(f64),
    /// A table.
    Table(Vec<(String, Value)>),
    /// An array.
    Array(Vec<Value>),
}

/// A table as libubox writes it, without its own head.
///
/// # Panics
/// libubox is out of memory, or a string holds a NUL.
#[allow(clippy::expect_used)]
pub fn write(fields: &[(String, Value)]) -> Vec<u8> {
    let mut buf = BlobBuf { head: ptr::null_mut(), grow: None, buflen: 0, buf: ptr::null_mut() };
    // SAFETY: a zeroed buffer is what blob_buf_init expects; it is freed below, once.
    unsafe {
        assert_eq!(blob_buf_init(&mut buf, TYPE_TABLE), 0);
        for (name, value) in fields {
            add(&mut buf, name, value);
        }
        // The head is the outermost table again.
        let head: *const u8 = buf.head.cast_const().cast();
        let word = u32::from_be_bytes(*head.cast::<[u8; HEAD]>());
        let length = (word & LENGTH) as usize;
        let bytes = std::slice::from_raw_parts(head, length).get(HEAD..).expect("a head").to_vec();
        blob_buf_free(&mut buf);
        bytes
    }
}

/// # Safety
/// `buf` was made by blob_buf_init and is not freed.
#[allow(clippy::expect_used)]
unsafe fn add(buf: &mut BlobBuf, name: &str, value: &Value) {
    let c_name = CString::new(name).expect("a name without NUL");
    let (ty, data): (c_int, Vec<u8>) = match value {
        Value::Text(text) => {
            (3, CString::new(text.as_str()).expect("no NUL").into_bytes_with_nul())
        }
        Value::Bool(value) => (7, vec![u8::from(*value)]),
        Value::Number(value) => (5, value.to_be_bytes().to_vec()),
        Value::Long(value) => (4, value.to_be_bytes().to_vec()),
        Value::Double(value) => (8, value.to_bits().to_be_bytes().to_vec()),
        Value::Table(fields) => {
            // SAFETY: promised by the caller; the cookie is used once, and by this nest.
            unsafe {
                let cookie = blobmsg_open_nested(buf, c_name.as_ptr(), false);
                fields.iter().for_each(|(name, value)| add(buf, name, value));
                blob_nest_end(buf, cookie);
            }
            return;
        }
        Value::Array(items) => {
            // SAFETY: as above.
            unsafe {
                let cookie = blobmsg_open_nested(buf, c_name.as_ptr(), true);
                items.iter().for_each(|value| add(buf, "", value));
                blob_nest_end(buf, cookie);
            }
            return;
        }
    };
    let length = c_uint::try_from(data.len()).expect("some bytes");
    // SAFETY: promised by the caller; libubox copies the name and the data.
    let code = unsafe { blobmsg_add_field(buf, ty, c_name.as_ptr(), data.as_ptr().cast(), length) };
    assert_eq!(code, 0, "out of memory");
}
