output "bucket" {
  description = "The chart's aws.bucket."
  value       = aws_s3_bucket.assets.id
}

output "region" {
  description = "The chart's aws.region."
  value       = aws_s3_bucket.assets.region
}

output "role_arns" {
  description = "The roles by program."
  value       = { for program, role in aws_iam_role.program : program => role.arn }
}
