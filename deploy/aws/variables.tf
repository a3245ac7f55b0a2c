variable "bucket" {
  description = "The bucket's name."
  type        = string
}

variable "namespace" {
  description = "The Kubernetes namespace of the release."
  type        = string
  default     = "assets"
}

variable "cluster_name" {
  description = "The EKS cluster whose pods get the roles by Pod Identity; null: create only the roles."
  type        = string
  default     = null
}

variable "service_account_names" {
  description = "The ServiceAccounts of the two programs, as in the chart's values."
  type        = object({ service = string, reconciler = string })
  default     = { service = "assetuploader-service", reconciler = "assetuploader-reconciler" }
}

variable "upload_url_ttl_seconds" {
  description = "The longest lifetime of an upload URL or a part URL that S3 accepts: the chart's uploadUrlTtlSeconds."
  type        = number
  default     = 900
}

variable "browser_origins" {
  description = "Origins of web pages that upload, such as https://app.example.com; empty: no CORS."
  type        = list(string)
  default     = []
}

variable "deletes" {
  description = "Whether the service may delete final assets: the chart's deletes."
  type        = bool
  default     = false
}
