// Sixteen activations as bytes.

struct Quantized {
  words: vec4<u32>,
  scale: f32,
  sum: i32,  // of the bytes
}

// The largest is found by its bits, so that an infinity or a NaN stays, and every product is one.
fn quantized(v: array<vec4<f32>, 4>) -> Quantized {
  var bits = vec4<u32>();
  for (var i = 0u; i < 4u; i++) {
    bits = max(bits, bitcast<vec4<u32>>(v[i]) & vec4<u32>(0x7fffffffu));
  }
  let largest = bitcast<f32>(max(max(bits.x, bits.y), max(bits.z, bits.w)));
  let inverse = select(127.0 / largest, 0.0, largest < 1e-30);
  var words = vec4<u32>();
  var sum = 0;
  for (var i = 0u; i < 4u; i++) {
    words[i] = pack4xI8(vec4<i32>(round(v[i] * inverse)));
    sum += dot4I8Packed(words[i], 0x01010101u);
  }
  return Quantized(words, largest / 127.0, sum);
}
