# The bucket and the two roles, from the policies that docs/eks.md applies by hand.

locals {
  policies = "${path.module}/../../docs/iam"
  programs = toset(["service", "reconciler"])
  cors     = jsondecode(file("${local.policies}/cors.json")).CORSRules[0]

  bucket_policy = replace(
    replace(file("${local.policies}/bucket.json"), "BUCKET", var.bucket),
    "\"900000\"",
    "\"${var.upload_url_ttl_seconds * 1000}\"",
  )
}

resource "aws_s3_bucket" "assets" {
  bucket = var.bucket
}

resource "aws_s3_bucket_public_access_block" "assets" {
  bucket                  = aws_s3_bucket.assets.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_ownership_controls" "assets" {
  bucket = aws_s3_bucket.assets.id
  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_policy" "assets" {
  bucket     = aws_s3_bucket.assets.id
  policy     = local.bucket_policy
  depends_on = [aws_s3_bucket_public_access_block.assets]
}

# The rules delete placeholders that never became assets, and abort uploads in parts that the reconciler did not abort. No rule
# may delete in temp/: it has the only copy of a marked upload until the upload is final.
resource "aws_s3_bucket_lifecycle_configuration" "assets" {
  bucket = aws_s3_bucket.assets.id

  dynamic "rule" {
    for_each = jsondecode(file("${local.policies}/lifecycle.json")).Rules
    content {
      id     = rule.value.ID
      status = rule.value.Status
      filter {
        prefix = try(rule.value.Filter.Prefix, null)
        dynamic "and" {
          for_each = try([rule.value.Filter.And], [])
          content {
            prefix                = and.value.Prefix
            object_size_less_than = and.value.ObjectSizeLessThan
            tags                  = { for tag in and.value.Tags : tag.Key => tag.Value }
          }
        }
      }
      dynamic "expiration" {
        for_each = try([rule.value.Expiration], [])
        content {
          days = expiration.value.Days
        }
      }
      dynamic "abort_incomplete_multipart_upload" {
        for_each = try([rule.value.AbortIncompleteMultipartUpload], [])
        content {
          days_after_initiation = abort_incomplete_multipart_upload.value.DaysAfterInitiation
        }
      }
    }
  }
}

resource "aws_s3_bucket_cors_configuration" "assets" {
  count  = length(var.browser_origins) > 0 ? 1 : 0
  bucket = aws_s3_bucket.assets.id

  cors_rule {
    allowed_origins = var.browser_origins
    allowed_methods = local.cors.AllowedMethods
    allowed_headers = local.cors.AllowedHeaders
    expose_headers  = local.cors.ExposeHeaders
    max_age_seconds = local.cors.MaxAgeSeconds
  }
}

resource "aws_iam_role" "program" {
  for_each           = local.programs
  name_prefix        = "assetuploader-${each.key}-"
  assume_role_policy = file("${local.policies}/pod-identity-trust.json")
}

resource "aws_iam_role_policy" "program" {
  for_each = local.programs
  name     = "bucket"
  role     = aws_iam_role.program[each.key].id
  policy   = replace(file("${local.policies}/${each.key}.json"), "BUCKET", aws_s3_bucket.assets.id)
}

resource "aws_iam_role_policy" "deletes" {
  count  = var.deletes ? 1 : 0
  name   = "deletes"
  role   = aws_iam_role.program["service"].id
  policy = replace(file("${local.policies}/service-deletes.json"), "BUCKET", aws_s3_bucket.assets.id)
}

resource "aws_eks_pod_identity_association" "program" {
  for_each        = var.cluster_name == null ? toset([]) : local.programs
  cluster_name    = var.cluster_name
  namespace       = var.namespace
  service_account = var.service_account_names[each.key]
  role_arn        = aws_iam_role.program[each.key].arn
}
