// What is left of a text whose constants decide its branches.
#include "kernels/constant_branches.h"

#include <gtest/gtest.h>

namespace pronk::kernels {
namespace {

std::string pruned(std::string_view body) {
  const std::string constants =
      "\nconst SIX = 6u;\nconst ON = true;\nconst OFF = !ON;\nconst HALF: u32 = max(SIX / 2u, 1u);\nconst FLOAT = "
      "1.5;\n";
  const std::string text = without_constant_branches(constants + std::string(body));
  EXPECT_TRUE(text.starts_with(constants));
  return text.substr(constants.size());
}

TEST(ConstantBranches, DeadOnesAreLeftOut) {
  EXPECT_EQ(pruned("if (OFF) {\na();\n}\nb();"), "{}\nb();");
  EXPECT_EQ(pruned("if (ON) {\na();\n}\nb();"), "{\na();\n}\nb();");
  EXPECT_EQ(pruned("if (HALF == 3u && SIX % 4u <= 2u) {\na();\n} else {\nb();\n}"), "{\na();\n}");
  EXPECT_EQ(pruned("if (select(1u, 2u, ON) > 2u) {\na();\n} else {\nb();\n}"), "{\nb();\n}");
}

TEST(ConstantBranches, UnknownOnesStay) {
  for (const char* text :
       {"if (x) {\na();\n}", "if (FLOAT == 1.5) {\na();\n}", "if (ON && vec2<bool>(ON).x) {\na();\n}",
        "if (SIX - 7u > 0u) {\na();\n}", "if (SIX / 0u == 0u) {\na();\n}", "if (SIX << 1u == 12u) {\na();\n}"})
    EXPECT_EQ(pruned(text), text);
  EXPECT_EQ(pruned("if (OFF && x[i].y + f(1.0, -z) == 2) {\na();\n}"), "{}");
  EXPECT_EQ(pruned("if (x || ON) {\na();\n}"), "{\na();\n}");
  EXPECT_EQ(pruned("if (x) {\nif (OFF) {\na();\n}\n}"), "if (x) {\n{}\n}");
}

TEST(ConstantBranches, Chains) {
  EXPECT_EQ(pruned("if (OFF) {\na();\n} else if (x) {\nb();\n} else {\nc();\n}"), "if (x) {\nb();\n} else {\nc();\n}");
  EXPECT_EQ(pruned("if (x) {\na();\n} else if (ON) {\nb();\n} else {\nc();\n}\nd();"),
            "if (x) {\na();\n} else {\nb();\n}\nd();");
  EXPECT_EQ(pruned("if (x) {\na();\n} else if (OFF) {\nb();\n}"), "if (x) {\na();\n} else {}");
  EXPECT_EQ(pruned("if (ON) {\na();\n} else if (x) {\nb();\n} else {\nc();\n}\nd();"), "{\na();\n}\nd();");
}

// Compilers refuse it.
TEST(ConstantBranches, NothingFollowsWhatLeavesABlock) {
  EXPECT_EQ(pruned("fn f() -> u32 {\nif (ON) {\nreturn 1u;\n}\na();\nreturn 2u;\n}\nfn g() {}"),
            "fn f() -> u32 {\n{\nreturn 1u;\n}}\nfn g() {}");
  EXPECT_EQ(pruned("for (;;) {\nif (ON) {\na();\ncontinue;\n}\nb();\n}\nc();"),
            "for (;;) {\n{\na();\ncontinue;\n}}\nc();");
  EXPECT_EQ(pruned("if (ON) {\nif (x) {\nreturn;\n}\n}\na();"), "{\nif (x) {\nreturn;\n}\n}\na();");
  EXPECT_EQ(pruned("if (x) {\na();\n} else if (ON) {\nreturn;\n}\nb();"), "if (x) {\na();\n} else {\nreturn;\n}\nb();");
}

TEST(ConstantBranches, ConstantsOfFunctionsAreNone) {
  EXPECT_EQ(pruned("fn f() {\nconst ON = false;\nconst OWN = 1u;\n}\nfn g() {\nif (ON) {\na();\n}\nif (OWN == 1u) "
                   "{\nb();\n}\n}"),
            "fn f() {\nconst ON = false;\nconst OWN = 1u;\n}\nfn g() {\n{\na();\n}\nif (OWN == 1u) {\nb();\n}\n}");
}

}  // namespace
}  // namespace pronk::kernels
