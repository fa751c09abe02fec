// The COUNT largest numbers of each row, largest first, of equal ones that of the lower index first. A workgroup leaves the best of EACH * WORKGROUP
// numbers; another dispatch takes what is left, until one workgroup can. What is no number counts as the largest.
//
// const NUM_ITEMS: u32, of a row; const COUNT, EACH, WORKGROUP: u32; const IS_FIRST: bool: rows of float32, else of what a dispatch has left

@group(0) @binding(0) var<storage, read> items: array<u32>;
// Of a row and workgroup COUNT pairs: index, and the bits of the number; index NONE where there are no more.
@group(0) @binding(1) var<storage, read_write> best: array<vec2<u32>>;

const NONE = 0xffffffffu;
const NAN_KEY = 0xfffffffeu;

struct Ranked {
  // Ordered as the numbers are, above 0; 0: there is none.
  key: u32,
  index: u32,
}

var<workgroup> found: array<Ranked, WORKGROUP>;

fn key_of(bits: u32) -> u32 {
  if ((bits & 0x7fffffffu) > 0x7f800000u) {
    return NAN_KEY;
  }
  // Zero is zero, of either sign.
  return select(bits | 0x80000000u, ~bits, bits > 0x80000000u);
}

fn bits_of(key: u32) -> u32 {
  if (key == NAN_KEY) {
    return 0x7fc00000u;
  }
  return select(~key, key & 0x7fffffffu, (key & 0x80000000u) != 0u);
}

fn item_of(row: u32, item: u32) -> Ranked {
  if (item >= NUM_ITEMS) {
    return Ranked(0u, NONE);
  }
  let at = row * NUM_ITEMS + item;
  if (IS_FIRST) {
    return Ranked(key_of(items[at]), item);
  }
  return Ranked(select(key_of(items[2u * at + 1u]), 0u, items[2u * at] == NONE), items[2u * at]);
}

fn comes_before(a: Ranked, b: Ranked) -> bool {
  return a.key > b.key || (a.key == b.key && a.index < b.index);
}

@compute @workgroup_size(WORKGROUP)
fn main(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(num_workgroups) workgroups: vec3<u32>,
  @builtin(local_invocation_index) thread: u32,
) {
  var own = array<Ranked, EACH>();
  for (var i = 0u; i < EACH; i++) {
    own[i] = item_of(workgroup.y, (workgroup.x * EACH + i) * WORKGROUP + thread);
  }
  var last = Ranked(NONE, 0u);
  for (var n = 0u; n < COUNT; n++) {
    var next = Ranked(0u, NONE);
    for (var i = 0u; i < EACH; i++) {
      if (comes_before(last, own[i]) && comes_before(own[i], next)) {
        next = own[i];
      }
    }
    found[thread] = next;
    workgroupBarrier();
    for (var half = WORKGROUP / 2u; half > 0u; half >>= 1u) {
      if (thread < half && comes_before(found[thread + half], found[thread])) {
        found[thread] = found[thread + half];
      }
      workgroupBarrier();
    }
    last = found[0];
    workgroupBarrier();
    if (thread == 0u) {
      best[(workgroup.y * workgroups.x + workgroup.x) * COUNT + n] = vec2<u32>(last.index, bits_of(last.key));
    }
  }
}
