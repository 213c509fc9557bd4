//! How messages become bytes and back: protobuf, in buffers that fit an agent's messages.

use std::marker::PhantomData;

use prost::Message;
use tonic::codec::{BufferSettings, Codec};
use tonic_prost::{ProstCodec, ProstDecoder, ProstEncoder};

/// What a buffer begins with and grows by, in bytes. A stream keeps two buffers for as long as it
/// lives, and a collector keeps thousands of streams: with the library's 8 KiB they were a fifth of
/// what an agent cost. A batch every ten seconds is about 400 bytes, an acknowledgement 20.
const BUFFER_BYTES: usize = 512;
/// Messages are handed on once this much waits, in bytes; the library's own figure.
const HAND_ON_BYTES: usize = 32 << 10;

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
    type Decoder = ProstDecoder<U>;

    fn encoder(&mut self) -> Self::Encoder {
        ProstCodec::<T, U>::raw_encoder(settings())
    }

    fn decoder(&mut self) -> Self::Decoder {
        ProstCodec::<T, U>::raw_decoder(settings())
    }
}
