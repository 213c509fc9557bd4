//! How messages become bytes and back: protobuf, in buffers that fit an agent's messages.

use std::marker::PhantomData;

use prost::Message;
use prost::bytes::{Buf, Bytes};
use tonic::Status;
use tonic::codec::{BufferSettings, Codec, DecodeBuf, Decoder};
use tonic_prost::{ProstCodec, ProstEncoder};

/// What a buffer begins with and grows by, in bytes. A stream keeps two buffers for as long as it
/// lives, and a collector keeps thousands of streams: with the library's 8 KiB they were a fifth of
/// what an agent cost. A batch every ten seconds is about 400 bytes, an acknowledgement 20.
const BUFFER_BYTES: usize = 512;
/// Messages are handed on once this much waits, in bytes; the library's own figure.
const HAND_ON_BYTES: usize = 32 << 10;

/// A message longer than this, in bytes, does not keep its room in the buffer: see [`LettingGo`].
const LONG_BYTES: usize = 4 * BUFFER_BYTES;

/// The codec of every service here.
#[derive(Clone, Copy, Debug)]
pub struct SmallBuffers<T, U>(PhantomData<(T, U)>);

impl<T, U> Default for SmallBuffers<T, U> {
    fn default() -> Self {
        SmallBuffers(PhantomData)
    }
}

fn settings() -> BufferSettings {
    BufferSettings::new(BUFFER_BYTES, HAND_ON_BYTES)
}

impl<T, U> Codec for SmallBuffers<T, U>
where
    T: Message + Send + 'static,
    U: Message + Default + Send + 'static,
{
    type Encode = T;
    type Decode = U;
    type Encoder = ProstEncoder<T>;
    type Decoder = LettingGo<U>;

    fn encoder(&mut self) -> Self::Encoder {
        ProstCodec::<T, U>::raw_encoder(settings())
    }

    fn decoder(&mut self) -> Self::Decoder {
        LettingGo::default()
    }
}

/// Reads messages, and lets a long one's room go.
///
/// A stream begins with its longest message, the names of all series, and the buffer it comes in
/// would stay as long as the stream lives: a tenth of what an agent costs. A buffer whose bytes
/// somebody still holds is not used again, but replaced by one that fits; so a long message's bytes
/// are held until as many have come after it, which by then are in another buffer.
#[derive(Debug)]
pub struct LettingGo<U> {
    /// A long message, and how many bytes have to come until it is let go.
    held: Option<(Bytes, usize)>,
    message: PhantomData<U>,
}

impl<U> Default for LettingGo<U> {
    fn default() -> Self {
        LettingGo {
            held: None,
            message: PhantomData,
        }
    }
}

impl<U> LettingGo<U> {
    fn pass(&mut self, message: &Bytes) {
        self.held = match self.held.take() {
            _ if message.len() > LONG_BYTES => Some((message.clone(), message.len())),
            Some((long, left)) if left > message.len() => Some((long, left - message.len())),
            _ => None,
        };
    }
}

impl<U: Message + Default> Decoder for LettingGo<U> {
    type Item = U;
    type Error = Status;

    fn decode(&mut self, src: &mut DecodeBuf<'_>) -> Result<Option<U>, Status> {
        let bytes = src.copy_to_bytes(src.remaining());
        self.pass(&bytes);
        let message = U::decode(bytes).map_err(|e| Status::internal(e.to_string()))?;
        Ok(Some(message))
    }

    fn buffer_settings(&self) -> BufferSettings {
        settings()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prost::bytes::{BufMut, BytesMut};

    /// What the buffer of a stream holds after each of these messages, as the library fills it.
    fn room_after(lengths: &[usize], decoder: &mut LettingGo<()>) -> Vec<usize> {
        let mut buffer = BytesMut::with_capacity(BUFFER_BYTES);
        let mut rooms = Vec::new();
        for length in lengths {
            buffer.reserve(*length);
            buffer.put_bytes(0, *length);
            let message = buffer.copy_to_bytes(*length);
            decoder.pass(&message);
            drop(message);
            // What it can grow to without another allocation.
            let reclaimed = buffer.try_reclaim(LONG_BYTES * 2);
            rooms.push(if reclaimed {
                LONG_BYTES * 2
            } else {
                buffer.capacity()
            });
        }
        rooms
    }

    #[test]
    fn the_room_of_a_long_message_is_given_back_when_short_ones_follow() {
        let mut lengths = vec![8 * LONG_BYTES];
        lengths.extend([400; 50]);
        let rooms = room_after(&lengths, &mut LettingGo::default());
        assert!(rooms[50] < LONG_BYTES, "{rooms:?}");
    }

    #[test]
    fn a_long_message_is_held_until_as_much_came_after_it() {
        let mut decoder = LettingGo::<()>::default();
        decoder.pass(&Bytes::from(vec![0; LONG_BYTES + 1]));
        decoder.pass(&Bytes::from(vec![0; LONG_BYTES]));
        assert!(decoder.held.is_some());
        decoder.pass(&Bytes::from(vec![0; 1]));
        assert!(decoder.held.is_none());
    }
}
