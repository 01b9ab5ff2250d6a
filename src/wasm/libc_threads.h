#pragma once

// To be called by each thread but the first: from then on a trap tells that it wanted memory of the heap.
void forbid_heap();
