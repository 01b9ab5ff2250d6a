// What all threads of a workgroup have, for each of them: in two steps, for a barrier costs more than a few loads.

const STEP = 16u;  // threads that each join the values of every STEP-th

var<workgroup> values: array<f32, WORKGROUP>;
var<workgroup> joined: array<f32, STEP>;

fn largest_of_all(local: u32, own: f32) -> f32 {
  values[local] = own;
  workgroupBarrier();
  if (local < STEP) {
    var largest = own;
    for (var i = local + STEP; i < WORKGROUP; i += STEP) {
      largest = max(largest, values[i]);
    }
    joined[local] = largest;
  }
  workgroupBarrier();
  var largest = joined[0];
  for (var i = 1u; i < STEP; i++) {
    largest = max(largest, joined[i]);
  }
  return largest;
}

fn sum_of_all(local: u32, own: f32) -> f32 {
  values[local] = own;
  workgroupBarrier();
  if (local < STEP) {
    var sum = own;
    for (var i = local + STEP; i < WORKGROUP; i += STEP) {
      sum += values[i];
    }
    joined[local] = sum;
  }
  workgroupBarrier();
  var sum = joined[0];
  for (var i = 1u; i < STEP; i++) {
    sum += joined[i];
  }
  return sum;
}
