// The queries of a workgroup in its memory, one after the other.

const HADAMARD_FOURS = VECTORS * k_FOURS;

var<workgroup> q_tile: array<vec4<f32>, HADAMARD_FOURS>;

fn load_queries(kv_head: u32, first_query: u32, queries: u32, local: u32) {
  for (var i = local; i < HADAMARD_FOURS; i += WORKGROUP) {
    q_tile[i] = query_four(kv_head, min(first_query + i / k_FOURS, queries - 1u), i % k_FOURS);
  }
  if (HADAMARD > 1u) {
    hadamard_transform(local);
  }
  workgroupBarrier();
}
