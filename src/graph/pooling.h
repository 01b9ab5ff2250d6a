// How rows of hidden states become one vector.
#pragma once

#include "base/enums.h"
#include "base/types.h"

namespace pronk::graph {

PRONK_ENUM(Pooling, u8,  // values as in a file's pooling_type
           (none, 0),    // a vector for each token
           (mean, 1),    // of all rows
           (cls, 2),     // the first row
           (last, 3),    // the last row
           (rank, 4));   // a reranker's scores: the first row

}  // namespace pronk::graph
